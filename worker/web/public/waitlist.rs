//! `/waitlist/{program}`: what the program is, how its line stands, and the form to join it.
//!
//! The same as `/subscribe` in all that protects people: one page for every address, a stamp, a field that people do not see, one
//! more press for a form of another site, the same limits. `waitlist::joining` decides whether a mail goes.

use super::{
    form::{Fields, Filled},
    moment::{day, moment},
    person::{self, Person},
    place,
    subscribe::{OnceMore, WHERE_IT_IS, message, too_many},
};
use crate::{
    signup::{self, Answer, FieldError, Form, Origin, Request},
    waitlist::{
        WaitlistError, joining,
        program::{self, Program},
        standing::{self, Next},
        states::ProgramState,
    },
    web::{
        Web,
        error::{Problem, answer},
        origin::Host,
        pages::{Frame, Scripts, page, policy},
        stamp,
    },
};
use askama::Template;
use axum::{
    extract::{self, Path, State, rejection::PathRejection},
    http::{StatusCode, header},
    response::Response,
};

type Slug = Result<Path<String>, PathRejection>;

/// The page.
pub(in crate::web) async fn show(State(web): State<Web>, slug: Slug) -> Response {
    answer(&web, shown(&web, slug).await)
}

/// A form that is posted: ours, or one on another site.
pub(in crate::web) async fn act(State(web): State<Web>, slug: Slug, host: Host, request: extract::Request) -> Response {
    answer(&web, acted(&web, slug, host, request).await)
}

#[derive(Template)]
#[template(path = "web/waitlist.html")]
struct Page<'a> {
    frame: Frame<'a>,
    stamp: String,
    person: Person,
    program: &'a Program,
    about: Vec<&'a str>,
    dates: Vec<String>,
    crowd: String,
    next: String,
    wording: String,
}

async fn shown(web: &Web, slug: Slug) -> Result<Response, Problem> {
    let program = found(web, slug).await?;
    let mut response = form_page(web, StatusCode::OK, &program, Form::default(), Vec::new()).await?;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy(web, Scripts::Own));
    Ok(response)
}

async fn acted(web: &Web, slug: Slug, host: Host, request: extract::Request) -> Result<Response, Problem> {
    let program = found(web, slug).await?;
    let fields = Fields::read(request).await?;
    let filled = fields.filled(web);
    if filled == Filled::ByProgram {
        return Ok(thanks(web));
    }
    let form = person::form(&fields);
    // Whoever's address it is: nobody joins it any more.
    if program.state == ProgramState::Closed {
        return form_page(web, StatusCode::OK, &program, form, Vec::new()).await;
    }
    let request = match Request::to_wait(&form, &web.rules) {
        Ok(request) => request,
        Err(problems) => return form_page(web, StatusCode::UNPROCESSABLE_ENTITY, &program, form, problems).await,
    };
    if let Filled::Unclear(stamp) = filled {
        let frame = Frame::of(web);
        let wording = Some(signup::waiting(frame.publisher, &[&program.name]));
        let once_more = OnceMore { frame, stamp, carried: person::carried(&form), wording, button: "Join the waitlist" };
        return Ok(page(StatusCode::OK, &once_more));
    }
    match joining::join(&web.desk(), &program, &request, Origin::Host(host.0), web.clock.now()).await {
        Ok(Answer::Taken) => Ok(thanks(web)),
        Ok(Answer::TooMany) => Ok(too_many(web)),
        Err(WaitlistError::ProgramClosed(_)) => {
            form_page(web, StatusCode::OK, &Program { state: ProgramState::Closed, ..program }, form, Vec::new()).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn found(web: &Web, slug: Slug) -> Result<Program, Problem> {
    let Path(slug) = slug.map_err(|_| Problem::NoPage)?;
    match program::find(&mut *web.db.pool.acquire().await?, &slug).await {
        Err(WaitlistError::UnknownProgram { .. }) => Err(Problem::NoPage),
        found => Ok(found?),
    }
}

async fn form_page(web: &Web, status: StatusCode, program: &Program, typed: Form, problems: Vec<FieldError>) -> Result<Response, Problem> {
    let mut conn = web.db.pool.acquire().await?;
    let now = web.clock.now();
    let next = standing::next(&mut conn, program.id, now).await?;
    let frame = Frame::of(web);
    let shown = Page {
        stamp: stamp::of(&web.keyring, now),
        person: Person::of(typed, problems, "So that times are told by the clock where you are."),
        about: program.description.lines().map(str::trim).filter(|line| !line.is_empty()).collect(),
        dates: dates(program, next.as_ref(), now),
        crowd: place::crowd(standing::waiting(&mut conn, program.id).await?),
        next: place::next(next.as_ref(), None),
        wording: signup::waiting(frame.publisher, &[&program.name]),
        program,
        frame,
    };
    Ok(page(status, &shown))
}

// The days that are still to come.
fn dates(program: &Program, next: Option<&Next>, now: jiff::Timestamp) -> Vec<String> {
    let zone = next.map(|next| next.zone.as_str());
    let ends = program.enrolment_ends_at.filter(|at| *at > now).map(|at| format!("Seats can be taken until {}.", moment(at, zone)));
    let starts = program.starts_at.filter(|at| *at > now).map(|at| format!("It starts on {}.", day(at, zone)));
    starts.into_iter().chain(ends).collect()
}

/// The one answer to every form, whoever's address it was.
fn thanks(web: &Web) -> Response {
    let first = "A mail is on its way to the address that you gave, if we may write to it. Please open the mail and press the button in \
         it: seats are offered to you only then. Your place in the line counts from now on.";
    message(web, StatusCode::OK, "Look into your inbox", &[first, WHERE_IT_IS])
}

impl Page<'_> {
    fn label(&self, field: &str) -> &'static str {
        person::label(field)
    }

    fn is_closed(&self) -> bool {
        self.program.state == ProgramState::Closed
    }
}
