//! `/subscribe`: the form, and what is made of it. `signup` decides whether a mail goes; here nobody learns what it decided.
//!
//! A form that a person filled in is taken and thanked for, with the same page for every address. One that came from elsewhere or
//! too fast gets a page with one button, and nothing is done until that is pressed.

use super::{
    form::{Fields, Filled},
    person::{self, Person},
};
use crate::{
    signup::{self, Answer, FieldError, Form, OpenTopic, Origin, Request},
    web::{
        Web,
        error::{Problem, answer},
        origin::Host,
        pages::{Frame, Message, Scripts, page, policy},
        stamp,
    },
};
use askama::Template;
use axum::{
    extract::{self, State},
    http::{StatusCode, header},
    response::Response,
};

/// The end of every answer that sends people to their inbox.
pub(super) const WHERE_IT_IS: &str = "It should be there within a few minutes. If it is not, please look among what your mail program took \
     for unwanted mail. If somebody asked for such a mail to this address lately, none goes again so soon.";

/// Says that the form showed a choice of topics: to mark none of them is not to leave the choice to us.
const CHOICE: &str = "choice";

/// The page.
pub(in crate::web) async fn show(State(web): State<Web>) -> Response {
    answer(&web, shown(&web).await)
}

/// A form that is posted: ours, or one on another site.
pub(in crate::web) async fn act(State(web): State<Web>, host: Host, request: extract::Request) -> Response {
    answer(&web, acted(&web, host, request).await)
}

#[derive(Template)]
#[template(path = "web/subscribe.html")]
struct Page<'a> {
    frame: Frame<'a>,
    stamp: String,
    person: Person,
    topics: &'a [OpenTopic],
    wording: String,
    question: &'a str,
}

/// A page with one button that carries a form along.
#[derive(Template)]
#[template(path = "web/once_more.html")]
pub(super) struct OnceMore<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) stamp: String,
    pub(super) carried: Vec<(&'static str, String)>,
    pub(super) wording: Option<String>,
    pub(super) button: &'static str,
}

async fn shown(web: &Web) -> Result<Response, Problem> {
    let open = open_topics(web).await?;
    if open.is_empty() {
        return Ok(nothing_open(web));
    }
    let mut response = page(StatusCode::OK, &Page::of(web, &open, Form::default(), Vec::new()));
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy(web, Scripts::Own));
    Ok(response)
}

async fn acted(web: &Web, host: Host, request: extract::Request) -> Result<Response, Problem> {
    let fields = Fields::read(request).await?;
    let filled = fields.filled(web);
    if filled == Filled::ByProgram {
        return Ok(thanks(web));
    }
    let open = open_topics(web).await?;
    if open.is_empty() {
        return Ok(nothing_open(web));
    }
    let (form, choice) = (form(&fields), fields.get(CHOICE).to_owned());
    let request = match read(&form, !choice.is_empty(), &open, web) {
        Ok(request) => request,
        Err(problems) => return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &Page::of(web, &open, form, problems))),
    };
    if let Filled::Unclear(stamp) = filled {
        return Ok(once_more(web, stamp, &form, choice, &request));
    }
    take(web, &request, host).await
}

async fn take(web: &Web, request: &Request, host: Host) -> Result<Response, Problem> {
    match signup::subscribe(&web.desk(), request, Origin::Host(host.0), web.clock.now()).await? {
        Answer::Taken => Ok(thanks(web)),
        Answer::TooMany => Ok(too_many(web)),
    }
}

async fn open_topics(web: &Web) -> Result<Vec<OpenTopic>, Problem> {
    Ok(signup::open_topics(&mut *web.db.pool.acquire().await?).await?)
}

fn form(fields: &Fields) -> Form {
    Form {
        topics: fields.all("topics").map(str::to_owned).collect(),
        stage_date: fields.get("stage_date").to_owned(),
        ..person::form(fields)
    }
}

fn read(form: &Form, had_choice: bool, open: &[OpenTopic], web: &Web) -> Result<Request, Vec<FieldError>> {
    let none_chosen = had_choice && form.topics.is_empty();
    let none = none_chosen.then(|| FieldError { field: "topics", problem: "choose at least one".to_owned() });
    match (Request::read(form, open, &web.rules), none) {
        (Ok(request), None) => Ok(request),
        (Ok(_), Some(none)) => Err(vec![none]),
        (Err(problems), none) => Err(problems.into_iter().chain(none).collect()),
    }
}

fn once_more(web: &Web, stamp: String, form: &Form, choice: String, request: &Request) -> Response {
    let frame = Frame::of(web);
    let names: Vec<&str> = request.topics.iter().map(|topic| topic.name.as_str()).collect();
    let wording = signup::wording(frame.publisher, &names);
    let mut carried = person::carried(form);
    carried.extend(form.topics.iter().map(|slug| ("topics", slug.clone())));
    carried.extend([("stage_date", form.stage_date.clone()), (CHOICE, choice)].into_iter().filter(|(_, value)| !value.is_empty()));
    page(StatusCode::OK, &OnceMore { frame, stamp, carried, wording: Some(wording), button: "Subscribe" })
}

/// The one answer to every form, whoever's address it was.
fn thanks(web: &Web) -> Response {
    let first = "A mail is on its way to the address that you gave, if we may write to it. Please open the mail and press the button in \
         it: only then are you subscribed.";
    message(web, StatusCode::OK, "Look into your inbox", &[first, WHERE_IT_IS])
}

/// The answer when a host, a network or everybody has asked too often.
pub(super) fn too_many(web: &Web) -> Response {
    let paragraphs = [
        "More of this was asked for from your network, or from everywhere, than we take within an hour. It is nothing that you did wrong.",
        "Please try again in an hour. Nothing was changed, and no mail was sent.",
    ];
    let mut response = message(web, StatusCode::TOO_MANY_REQUESTS, "Please try again in a while", &paragraphs);
    response.headers_mut().insert(header::RETRY_AFTER, const { header::HeaderValue::from_static("3600") });
    response
}

fn nothing_open(web: &Web) -> Response {
    let paragraphs = ["At present there is nothing new to subscribe to. Please come back another time."];
    message(web, StatusCode::OK, "Nothing to subscribe to", &paragraphs)
}

pub(super) fn message(web: &Web, status: StatusCode, heading: &str, paragraphs: &[&str]) -> Response {
    let paragraphs = paragraphs.iter().map(|paragraph| (*paragraph).to_owned()).collect();
    page(status, &Message { frame: Frame::of(web), heading: heading.to_owned(), paragraphs })
}

impl<'a> Page<'a> {
    fn of(web: &'a Web, open: &'a [OpenTopic], typed: Form, problems: Vec<FieldError>) -> Self {
        let frame = Frame::of(web);
        // Which of several will be chosen is not known here: the mail and its page name them, in the words that are recorded.
        let names: Vec<&str> = if let [only] = open { vec![only.name.as_str()] } else { Vec::new() };
        Self {
            stamp: stamp::of(&web.keyring, web.clock.now()),
            person: Person::of(typed, problems, "So that letters come by day where you are."),
            topics: open,
            wording: signup::wording(frame.publisher, &names),
            question: &web.rules.stage_question,
            frame,
        }
    }

    fn label(&self, field: &str) -> &'a str {
        match field {
            "topics" => "Which letters?",
            "stage_date" if self.question.is_empty() => "The date",
            "stage_date" => self.question,
            other => person::label(other),
        }
    }

    fn is_chosen(&self, topic: &OpenTopic) -> bool {
        self.person.typed.topics.contains(&topic.slug)
    }
}
