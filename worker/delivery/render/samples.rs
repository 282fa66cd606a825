//! Samples of every context: what the templates are rendered with by `tidings template check`, by tests and by anyone
//! who wants to look at a mail. Made-up tips of a made-up publisher, ordinary and hostile; the contexts of notices bring
//! their own samples.

use super::{
    Because, Broadcast, Button, ColourError, Foot, Links, Notice, Palette, RenderError, Rendered, Site, Source, Templates, TipText,
    WeeklyTip,
    check::{self, Wanted},
    table::{BROADCAST, NOTICES, WEEKLY_TIP},
};
use jiff::{Timestamp, civil::date};

/// One mail's ingredients.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What is special about it.
    pub name: &'static str,
    /// The tip.
    pub tip: TipText,
    /// The topic's name.
    pub topic: String,
    /// The recipient's name as she gave it.
    pub recipient: Option<String>,
}

/// A template that was filled with a sample.
#[derive(Debug)]
pub struct Mail {
    /// The template's name.
    pub template: &'static str,
    /// What is special about the sample.
    pub sample: &'static str,
    /// What came out.
    pub rendered: Result<Rendered, RenderError>,
    /// Which links its foot carries.
    pub foot: Foot,
    /// The link of its button, where it has one.
    pub button_url: Option<&'static str>,
}

/// Where the links of the samples begin.
pub const SITE_URL: &str = "https://letters.example.org";
/// The preferences of nobody.
pub const PREFERENCES_URL: &str = "https://letters.example.org/preferences/b2YtYS1wZXJzb24tb2Ytc2FtcGxlcw";
/// The way out of nobody.
pub const UNSUBSCRIBE_URL: &str = "https://letters.example.org/u/c2FtcGxlLXRva2VuLW9mLW5vYm9keQ";
const CONFIRM_URL: &str = "https://letters.example.org/confirm/YS1zaWduLXVwLW9mLXNhbXBsZXM";
/// The place of nobody on a waitlist.
pub const ENTRY_URL: &str = "https://letters.example.org/waitlist/autumn-course/cGxhY2Utb2Ytbm9ib2R5LWF0LWFsbA";
const PROGRAM_URL: &str = "https://letters.example.org/waitlist/autumn-course";
const OFFER_URL: &str = "https://letters.example.org/offers/b2ZmZXItdG8tbm9ib2R5LWF0LWFsbA";
const NAME: &str = "Ana";
/// When what counts from its hand-over is handed over: 2026-11-29, 09:00:59 in London.
const HANDED_OVER: i64 = 1_795_942_859;

/// Every template with each of its samples.
pub fn mails(templates: &Templates) -> Vec<Mail> {
    let tips = weekly_tips();
    let broadcasts = tips.iter().flat_map(|sample| broadcast_mails(templates, sample));
    tips.iter().map(|sample| tip_mail(templates, sample)).chain(broadcasts).chain(notice_mails(templates)).collect()
}

impl Mail {
    /// What must be found in it.
    pub fn wanted<'a>(&self, site: &'a Site) -> Wanted<'a> {
        Wanted {
            foot: self.foot,
            button_url: self.button_url,
            preferences_url: PREFERENCES_URL,
            unsubscribe_url: UNSUBSCRIBE_URL,
            entry_url: ENTRY_URL,
            postal_address: &site.postal_address,
        }
    }

    /// What is wrong with it, with file and line where they are known.
    pub fn findings(&self, templates: &Templates) -> Vec<String> {
        match &self.rendered {
            Ok(rendered) => check::findings(rendered, &self.wanted(templates.site())),
            Err(error) => vec![match (templates.place_of(error), error) {
                (Some(place), RenderError::MissingField { field, .. }) => {
                    format!("{place}: the field `{field}` is none that this mail has; the built-in file shows those that it has")
                }
                (Some(place), _) => format!("{place}: {error}"),
                (None, _) => error.to_string(),
            }],
        }
    }
}

/// What is wrong with the mails that `templates` make of the samples, each thing once; empty when all is well.
pub fn findings(templates: &Templates) -> Vec<String> {
    let mut found: Vec<(String, String, usize)> = Vec::new();
    for mail in mails(templates) {
        for finding in mail.findings(templates) {
            match found.iter_mut().find(|(known, ..)| *known == finding) {
                Some((.., others)) => *others += 1,
                None => found.push((finding, format!("{}, {}", mail.template, mail.sample), 0)),
            }
        }
    }
    let line = |(finding, mail, others): (String, String, usize)| match others {
        0 => format!("{mail}: {finding}"),
        others => format!("{mail}, and {others} more: {finding}"),
    };
    found.into_iter().map(line).collect()
}

fn tip_mail(templates: &Templates, sample: &Sample) -> Mail {
    let rendered = templates.ready_tip(&sample.tip).and_then(|tip| {
        let (topic, name) = (sample.topic.as_str(), sample.recipient.as_deref());
        templates.render_weekly_tip(&WeeklyTip {
            tip: &tip,
            topic,
            name,
            preferences_url: PREFERENCES_URL,
            unsubscribe_url: UNSUBSCRIBE_URL,
        })
    });
    Mail { template: WEEKLY_TIP.name, sample: sample.name, rendered, foot: Foot::Topic, button_url: None }
}

// The same words to a topic and to a waitlist.
fn broadcast_mails(templates: &Templates, sample: &Sample) -> [Mail; 2] {
    let name = sample.topic.as_str();
    let to_topic = Because::Topic { name, unsubscribe_url: UNSUBSCRIBE_URL };
    let to_waitlist = Because::Waitlist { program: name, entry_url: ENTRY_URL };
    [(to_topic, Foot::Topic, sample.name), (to_waitlist, Foot::Waitlist, to_a_waitlist(sample.name))].map(|(because, foot, called)| {
        let rendered = templates.ready_tip(&sample.tip).and_then(|text| {
            let name = sample.recipient.as_deref();
            templates.render_broadcast(&Broadcast { text: &text, because, name, preferences_url: PREFERENCES_URL })
        });
        Mail { template: BROADCAST.name, sample: called, rendered, foot, button_url: None }
    })
}

fn to_a_waitlist(sample: &str) -> &'static str {
    match sample {
        "ordinary" => "to a waitlist",
        "long" => "long to a waitlist",
        "hostile names" => "hostile to a waitlist",
        "right to left" => "right to left to a waitlist",
        _ => "no links to a waitlist",
    }
}

fn notice_mails(templates: &Templates) -> impl Iterator<Item = Mail> {
    let frozen = NOTICES.iter().flat_map(|kind| (kind.samples)().into_iter().map(move |frozen| (kind.parts.name, frozen)));
    frozen.map(|(template, (sample, frozen))| match Notice::read(template, &frozen) {
        Ok(notice) => notice_mail(templates, template, sample, &notice),
        Err(error) => Mail { template, sample, rendered: Err(error), foot: Foot::Unproven, button_url: None },
    })
}

fn notice_mail(templates: &Templates, template: &'static str, sample: &'static str, notice: &Notice) -> Mail {
    let button = match notice.button() {
        Button::Confirm { .. } => CONFIRM_URL,
        Button::Preferences => PREFERENCES_URL,
        Button::Entry(_) => ENTRY_URL,
        Button::Offer { .. } => OFFER_URL,
        Button::Program { .. } => PROGRAM_URL,
    };
    let links = Links { button, preferences: Some(PREFERENCES_URL), unsubscribe: Some(UNSUBSCRIBE_URL), entry: Some(ENTRY_URL) };
    let from = Timestamp::from_second(HANDED_OVER).expect("within the range of timestamps");
    let rendered = templates.render_notice(notice, Some(NAME), &links, from);
    Mail { template, sample, rendered, foot: notice.foot(), button_url: Some(button) }
}

/// A publisher for samples.
pub fn site() -> Result<Site, ColourError> {
    Ok(Site {
        name: "Harbour Street Health".into(),
        postal_address: "12 Harbour Street, Exampletown EX1 2PL".into(),
        disclaimer: Some("This letter is general information. It does not replace the advice of a doctor or midwife who knows you.".into()),
        lang: "en".into(),
        palette: Palette::of("#1f5c57")?,
    })
}

/// Every sample, the ordinary one first.
pub fn weekly_tips() -> Vec<Sample> {
    vec![ordinary(), long(), without_links(), hostile(), right_to_left()]
}

fn sample(name: &'static str, tip: TipText, recipient: Option<&str>) -> Sample {
    Sample { name, tip, topic: "Sleep and rest".into(), recipient: recipient.map(str::to_owned) }
}

fn source(text: &str, url: Option<&str>) -> Source {
    Source { text: text.into(), url: url.map(str::to_owned) }
}

fn ordinary() -> Sample {
    let markdown = "Most people who wake at three blame the clock. More often the evening is the reason: light, warmth and \
        a late meal all tell the body that the day is not over yet.\n\n\
        ## What happens in the evening\n\n\
        The body cools by about half a degree before sleep. A warm bedroom holds that back, and so does bright light \
        close to the eyes. Two changes are enough to notice a difference within a week:\n\n\
        1. Dim the lamps an hour before bed, and put the telephone in [another room](https://example.org/sleep/screens).\n\
        2. Keep the bedroom between 16 and 19 degrees.\n\
        3. Eat the last large meal three hours before you lie down.\n\n\
        > Nobody sleeps through. Everyone wakes several times a night; what differs is how soon they fall asleep again.\n\n\
        If you lie awake for longer than twenty minutes, get up, sit somewhere dim, and go back when you are drowsy. \
        Speak with a doctor when it goes on for more than **three weeks**.";
    let tip = TipText {
        subject: "Why you wake at three, and what the evening has to do with it".into(),
        preheader: "Most people who wake at three blame the clock.".into(),
        markdown: markdown.into(),
        section_url: Some("https://example.org/sleep/waking-at-night#evening".into()),
        related: vec![
            source("How much sleep is enough?", Some("https://example.org/sleep/how-much")),
            source("Naps: when they help and when they do not", Some("https://example.org/sleep/naps")),
        ],
        references: vec![
            source("Guideline on insomnia in adults. National guideline, 2021.", Some("https://www.example.org/guidelines/insomnia")),
            source("Room temperature and the onset of sleep. Review, 2019.", None),
        ],
        article_title: "Waking at night: a calm guide".into(),
        article_date: Some(date(2024, 3, 12)),
    };
    sample("ordinary", tip, Some("Ana"))
}

fn long() -> Sample {
    let paragraph = "Rest is a skill that grows with use, and a short pause that is kept every day does more than a long one that is \
        planned and missed. ";
    let table = "| Hour | What to do | Why |\n|---|:---:|---|\n| 20:00 | Dim the lamps | Light delays sleep |\n\
        | 21:00 | Warm bath | The body cools afterwards |\n| 22:00 | Bed | The same hour each day |\n\n";
    let markdown =
        format!("{}\n\n### A plan for the evening\n\n{table}{}", paragraph.repeat(6), format!("{}\n\n", paragraph.repeat(5)).repeat(12));
    let reference = |n: usize| {
        source(
            &format!(
                "Report {n} on rest and recovery after illness, with a long title that runs over more than one line in most mail programs. Review, {}.",
                1990 + n
            ),
            None,
        )
    };
    let tip = TipText {
        subject: "Rest in small portions: a plan for a whole week, hour by hour, that holds".chars().take(78).collect(),
        preheader: "Rest is a skill that grows with use, and a short pause that is kept every day does more than a long one.".into(),
        markdown,
        section_url: Some(format!("https://example.org/{}", "a-very-long-path/".repeat(12))),
        related: (1..=8)
            .map(|n| source(&format!("Related article number {n} about rest"), Some(&format!("https://example.org/rest/{n}"))))
            .collect(),
        references: (1..=25).map(reference).collect(),
        article_title: "Everything about rest, from the first night to the last: a long guide in many parts".into(),
        article_date: Some(date(1999, 12, 31)),
    };
    sample("long", tip, None)
}

fn without_links() -> Sample {
    let tip = TipText {
        subject: "Ten minutes of daylight".into(),
        preheader: "A walk before noon sets the inner clock.".into(),
        markdown: "A walk before noon sets the inner clock. Ten minutes are enough, and clouds do not matter.".into(),
        article_title: "Daylight".into(),
        ..TipText::default()
    };
    sample("no links", tip, None)
}

fn hostile() -> Sample {
    let tip = TipText {
        subject: "Tom & Jerry's <b>\"rest\"</b>\r\nBcc: x@example.org".into(),
        preheader: "</div><script>alert(1)</script> & more".into(),
        markdown:
            "Less < more & \"more\" > less. <script>alert(1)</script> [a](javascript:alert(1)) ![pixel](https://foreign.example/p.gif) \
            [b](http://plain.example/) and `</body>`."
                .into(),
        section_url: Some("javascript:alert(1)".into()),
        related: vec![source("<img src=x onerror=alert(1)>", Some("https://example.org/\"><script>"))],
        references: vec![source("A & B. https://example.org/?a=1&b=2.", None), source("", Some("data:text/html,x"))],
        article_title: "\"Quotes\" & <tags>".into(),
        article_date: Some(date(2020, 2, 29)),
    };
    let mut sample = sample("hostile names", tip, Some("{{site}} <script>alert(1)</script> http://win.example.org"));
    sample.topic = "Sleep & <i>rest</i>".into();
    sample
}

fn right_to_left() -> Sample {
    let tip = TipText {
        subject: "لماذا تستيقظ في الثالثة صباحا؟".into(),
        preheader: "الضوء والحرارة والوجبة المتأخرة تؤخر النوم.".into(),
        markdown: "الضوء والحرارة والوجبة المتأخرة تؤخر النوم.\n\n- اخفض الإضاءة قبل ساعة.\n- اترك الهاتف في غرفة أخرى.\n\n[المقال](https://example.org/ar/sleep)".into(),
        section_url: Some("https://example.org/ar/sleep#night".into()),
        references: vec![source("دليل الأرق، 2021", Some("https://example.org/ar/guideline"))],
        article_title: "النوم الهادئ".into(),
        article_date: Some(date(2024, 3, 12)),
        ..TipText::default()
    };
    sample("right to left", tip, Some("ليلى"))
}
