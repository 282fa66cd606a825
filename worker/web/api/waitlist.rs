//! `POST /api/v1/waitlist/{program}`: somebody asked for a seat in a program of the operator's, such as a shop.
//!
//! The same reading, limits and mails as the page; the key is counted. The answer says that the request was taken, and nothing about
//! the address or its place in the line.

use super::{Refusal, key, object, taken, text};
use crate::{
    signup::{self, Answer, Form, Origin, keys::Scope},
    waitlist::{
        WaitlistError, joining,
        program::{self, Program},
        states::ProgramState,
    },
    web::Web,
};
use axum::{
    extract::{Path, Request, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};

const NO_PROGRAM: &str = "there is no such program: expected its slug at the end of the path, as `tidings program list` shows it";

const CLOSED: &str = "the program is closed: nobody can join its waitlist any more";

/// `POST /api/v1/waitlist/{program}`
pub(in crate::web) async fn add(State(web): State<Web>, slug: Result<Path<String>, PathRejection>, request: Request) -> Response {
    match added(&web, slug.ok().map(|Path(slug)| slug), request).await {
        Ok(()) => taken(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn added(web: &Web, slug: Option<String>, request: Request) -> Result<(), Refusal> {
    // The key first: whoever has none learns nothing about what there is.
    let key = key(web, request.headers(), Scope::Subscribe).await?;
    let program = open_program(web, slug).await?;
    let form = form(object(request).await?).map_err(Refusal::Fields)?;
    let request = signup::Request::to_wait(&form, &web.rules).map_err(Refusal::of_fields)?;
    match joining::join(&web.desk(), &program, &request, Origin::Key(key), web.clock.now()).await {
        Ok(Answer::Taken) => Ok(()),
        Ok(Answer::TooMany) => Err(Refusal::TooMany),
        Err(WaitlistError::ProgramClosed(_)) => Err(Refusal::Closed(CLOSED)),
        Err(error) => Err(error.into()),
    }
}

async fn open_program(web: &Web, slug: Option<String>) -> Result<Program, Refusal> {
    let slug = slug.ok_or(Refusal::NotThere(NO_PROGRAM))?;
    match program::find(&mut *web.db.pool.acquire().await?, &slug).await {
        Ok(program) if program.state == ProgramState::Open => Ok(program),
        Ok(_) => Err(Refusal::Closed(CLOSED)),
        Err(WaitlistError::UnknownProgram { .. }) => Err(Refusal::NotThere(NO_PROGRAM)),
        Err(error) => Err(error.into()),
    }
}

fn form(object: Map<String, Value>) -> Result<Form, Vec<(String, String)>> {
    let (mut form, mut problems) = (Form::default(), Vec::new());
    for (name, value) in object {
        let read = match name.as_str() {
            "email" => text(value).map(|text| form.email = text),
            "name" => text(value).map(|text| form.name = text),
            "zone" => text(value).map(|text| form.zone = text),
            _ => Err("there is no such field: email, name and zone are known"),
        };
        if let Err(problem) = read {
            problems.push((name.chars().take(40).collect(), problem.to_owned()));
        }
    }
    if problems.is_empty() { Ok(form) } else { Err(problems) }
}
