//! What makes a mail program load something when a mail is opened: attributes and styles, also where they are written so that who
//! looks for the plain words misses them.
//!
//! Pure; `markup` asks it of templates as they are written, `check` of finished mails.

use super::scan;

/// Attributes that load something.
const LOADING: [&str; 9] = ["src", "srcset", "background", "background-url", "poster", "ping", "action", "formaction", "data"];

/// Attributes of MJML that become no part of a style; all others do.
const UNSTYLED: [&str; 7] = ["href", "title", "alt", "name", "path", "css-class", "aria-label"];

/// What loads or runs something in a style. No address has a use there.
const SIGNS: [&str; 11] =
    ["url(", "image-set(", "image(", "src(", "cross-fade(", "element(", "@import", "expression(", "https://", "http://", "//"];

/// The character references that could hide a sign, those with their `;` first.
const REFERENCES: [(&str, char); 20] = [
    ("quot;", '"'),
    ("quot", '"'),
    ("apos;", '\''),
    ("amp;", '&'),
    ("amp", '&'),
    ("lt;", '<'),
    ("lt", '<'),
    ("gt;", '>'),
    ("gt", '>'),
    ("lpar;", '('),
    ("rpar;", ')'),
    ("colon;", ':'),
    ("sol;", '/'),
    ("bsol;", '\\'),
    ("commat;", '@'),
    ("ast;", '*'),
    ("midast;", '*'),
    ("period;", '.'),
    ("Tab;", '\t'),
    ("NewLine;", '\n'),
];

/// Stands in a text where a field would be filled in.
pub(super) const GAP: char = '\0';

/// Why `value` may not be the attribute `name` of `element`, whose name is in lower case.
pub(super) fn by_attribute(element: &str, name: &str, value: &str) -> Option<String> {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    if LOADING.into_iter().any(is) || (begins(name, "on") && name.len() > 3) {
        return Some(would_load(&format!("`{name}` on `<{element}>`")));
    }
    if element == "meta" && is("http-equiv") && plain(value).trim() == "refresh" {
        return Some(would_load("`<meta http-equiv=\"refresh\">`"));
    }
    let styles = is("style") || (element.starts_with("mj-") && !UNSTYLED.into_iter().any(is));
    let sign = styles.then(|| in_style(value)).flatten()?;
    Some(would_load(&format!("`{sign}`")))
}

/// The first sign in a style, or in a whole style sheet, of something that it loads or runs.
pub(super) fn in_style(style: &str) -> Option<&'static str> {
    // Nearly every style ends here: finished mails are many.
    if !style.contains(['(', '@', '&', '\\', '/']) {
        return None;
    }
    let plain = plain(style);
    SIGNS.into_iter().find(|sign| plain.contains(sign))
}

/// The style sheets of `text`: where their elements begin, and what they hold.
pub(super) fn sheets(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += text[at..].find('<')? + 1;
            let (begin, rest) = (at - 1, &text[at..]);
            let Some(name) = ["style", "mj-style"].into_iter().find(|name| is_element(rest, name)) else { continue };
            let first = at + rest.find('>')? + 1;
            let sheet = &text[first..];
            let mut ends = sheet.match_indices("</").map(|(end, _)| end);
            let length = ends.find(|end| is_element(&sheet[end + 2..], name)).unwrap_or(sheet.len());
            at = first + length;
            return Some((begin, &sheet[..length]));
        }
    })
}

/// What is said of `what`, which stands in a template or a mail.
pub(super) fn would_load(what: &str) -> String {
    format!("{what} would load or run something when the mail is opened: a mail contacts nobody")
}

/// `written` as a mail program reads it: character references decoded, comments and escapes of style sheets undone, in lower case.
pub(super) fn plain(written: &str) -> String {
    let decoded = decoded(&written.replace(GAP, ""));
    let mut out = String::with_capacity(decoded.len());
    let mut quote = None;
    let mut rest = decoded.as_str();
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        if c == '\\' {
            let (stands_for, after) = unescaped(after);
            out.extend(stands_for);
            rest = after;
            continue;
        }
        if quote.is_none() && rest.starts_with("/*") {
            rest = rest[2..].split_once("*/").map_or("", |(_, rest)| rest);
            continue;
        }
        quote = match quote {
            None => matches!(c, '"' | '\'').then_some(c),
            Some(open) => (c != open && c != '\n').then_some(open),
        };
        out.push(c);
        rest = after;
    }
    out.make_ascii_lowercase();
    out
}

/// `text` as it stands once its placeholders are gone: a [`GAP`] for each field, nothing for comments and blocks. What comes after
/// a line end is on the line on which it was.
pub(super) fn without_placeholders(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // The line ends that went with a placeholder; they come back with the next one that stays.
    let mut owed = 0;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        push(&mut out, before, &mut owed);
        rest = after;
        let slashes = before.len() - before.trim_end_matches('\\').len();
        if slashes == 1 {
            out.push_str("{{");
            continue;
        }
        let Some(length) = scan::tag_length(after) else {
            out.push_str("{{");
            break;
        };
        if slashes > 1 {
            out.pop();
        }
        let (tag, after) = after.split_at(length);
        rest = if tag.starts_with('{') { after.strip_prefix('}').unwrap_or(after) } else { after };
        owed += ends(tag);
        if tag.trim_start_matches('{').starts_with('~') {
            owed += ends(&out[out.trim_end().len()..]);
            out.truncate(out.trim_end().len());
        }
        if tag.ends_with("~}}") {
            owed += ends(&rest[..rest.len() - rest.trim_start().len()]);
            rest = rest.trim_start();
        }
        if leaves_something(tag) {
            out.push(GAP);
        }
    }
    push(&mut out, rest, &mut owed);
    out
}

fn push(out: &mut String, text: &str, owed: &mut usize) {
    let (same_line, more) = text.split_at(text.find('\n').unwrap_or(text.len()));
    out.push_str(same_line);
    if !more.is_empty() {
        out.extend(std::iter::repeat_n('\n', std::mem::take(owed)));
        out.push_str(more);
    }
}

fn ends(text: &str) -> usize {
    text.matches('\n').count()
}

fn leaves_something(tag: &str) -> bool {
    let tag = tag.trim_start_matches(['{', '~']).trim_start();
    !tag.starts_with(['!', '#', '/', '^']) && !tag.starts_with("else")
}

fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (c, after) = reference(after).unwrap_or(('&', after));
        out.push(c);
        rest = after;
    }
    out.push_str(rest);
    out
}

// What a character reference whose `&` is before `after` stands for, and what follows it. Mail programs do not insist on the `;`.
fn reference(after: &str) -> Option<(char, &str)> {
    let Some(number) = after.strip_prefix('#') else {
        return REFERENCES.into_iter().find_map(|(name, c)| Some((c, after.strip_prefix(name)?)));
    };
    let (number, radix) = number.strip_prefix(['x', 'X']).map_or((number, 10), |number| (number, 16));
    let digits = number.find(|c: char| !c.is_digit(radix)).unwrap_or(number.len());
    let (digits, rest) = number.split_at(digits);
    (!digits.is_empty()).then(|| (character(digits, radix), rest.strip_prefix(';').unwrap_or(rest)))
}

// What an escape of a style sheet stands for whose `\` is before `after`, and what follows it; one of a line end is nothing.
fn unescaped(after: &str) -> (Option<char>, &str) {
    let digits = after.bytes().take(6).take_while(u8::is_ascii_hexdigit).count();
    if digits == 0 {
        let mut chars = after.chars();
        let c = chars.next().filter(|c| !matches!(c, '\n' | '\r' | '\u{c}'));
        return (c, chars.as_str());
    }
    let (digits, rest) = after.split_at(digits);
    let rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix([' ', '\t', '\n', '\r', '\u{c}'])).unwrap_or(rest);
    (Some(character(digits, 16)), rest)
}

fn character(digits: &str, radix: u32) -> char {
    let code = u32::from_str_radix(digits, radix).ok();
    code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

// Whether the element that begins in `rest`, after its `<` or `</`, is called `name`.
fn is_element(rest: &str, name: &str) -> bool {
    begins(rest, name) && !rest[name.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-')
}

fn begins(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_style_loads_is_seen_through_every_disguise() {
        for (style, sign) in [
            ("background:URL(x)", "url("),
            ("list-style-image: image-set(&quot;https://e.example/x.png&quot; 1x)", "image-set("),
            ("background-image:-webkit-image-set('x' 1x)", "image-set("),
            ("background-image:&#117;rl(https://e.example/x)", "url("),
            ("background-image:&#0117rl(x)", "url("),
            ("background-image:&#x55;rl&lpar;x)", "url("),
            ("background-image:src(&quot;https://e.example/x&quot;)", "src("),
            ("background-image:u\\72l(x)", "url("),
            ("background-image:u\\000072 l(x)", "url("),
            ("background-image:\\u\\r\\l(x)", "url("),
            ("background-image:u&bsol;72 l(x)", "url("),
            ("background-image:u/* r */rl(x)", "url("),
            ("content:'/*';background:url(x);content:'*/'", "url("),
            ("content:'a\n'/*';background:url(x)/*'*/", "url("),
            ("background:element(#a)", "element("),
            ("background:image('a')", "image("),
            ("background:cross-fade(a, b)", "cross-fade("),
            ("width:expression(1)", "expression("),
            ("@import 'x'", "@import"),
            ("&commat;im\\port 'x'", "@import"),
            ("x:'https:\\\n//e.example'", "https://"),
            ("x:'http&colon;&sol;&sol;e.example'", "http://"),
            ("x:'//e.example'", "//"),
        ] {
            assert_eq!(in_style(style), Some(sign), "{style}");
        }
        for sound in
            ["color:rgb(1, 2, 3)", "font:16px/1.5 'A & B'", "/* see //x */ a:hover {}", "width:calc(100% - 2px)", "content:'\\2014'"]
        {
            assert_eq!(in_style(sound), None, "{sound}");
        }
    }

    #[test]
    fn an_attribute_is_told_by_its_name_in_any_case_and_a_refreshing_meta_by_its_value() {
        let refused = |element, name, value| by_attribute(element, name, value).is_some();
        assert!(refused("td", "BackGround", "x") && refused("a", "onClick", "x") && refused("p", "STYLE", "background:url(x)"));
        assert!(refused("meta", "http-equiv", " Re&#102;resh ") && refused("mj-text", "color", "red;background:url(x)"));
        assert!(!refused("meta", "http-equiv", "Content-Type") && !refused("meta", "content", "refresh"));
        assert!(!refused("mj-button", "href", "https://example.org/") && !refused("a", "href", "https://example.org/"));
        assert!(!refused("p", "title", "an image(s)"));
    }

    #[test]
    fn style_sheets_are_found_wherever_they_stand() {
        let text = "<p>a</p><STYLE type=\"x\">a<b{}</Style><styled>no</styled><mj-style>c</p></mj-style><style>open";
        assert_eq!(sheets(text).collect::<Vec<_>>(), [(8, "a<b{}"), (56, "c</p>"), (82, "open")]);
    }

    #[test]
    fn placeholders_hide_nothing_and_move_no_line() {
        for (text, shown) in [
            ("u{{!}}rl(", "url("),
            ("u{{!-- }} \n --}}rl(\nb", "url(\n\nb"),
            ("u{{#if a}}rl({{else}}x{{/if}}", "url(x"),
            ("u \n{{~#if a~}}\n rl({{/if}}\nb", "url(\n\n\nb"),
            ("href={{url}} b", "href=\0 b"),
            ("a{{{b}}}c{{&d}}{{> e}}", "a\0c\0\0"),
            ("\\{{a}}", "\\{{a}}"),
            ("u\\\\{{!}}72l(", "u\\72l("),
            ("a {{b", "a {{b"),
        ] {
            assert_eq!(without_placeholders(text), shown, "{text}");
        }
        assert_eq!(in_style("background:u\0rl(x)"), Some("url("));
    }

    proptest! {
        #[test]
        fn nothing_that_is_written_makes_it_panic(text in "[a-fu-x0-9<>/&#;\\\\*'\"{}~! é\n(]{0,120}") {
            let shown = without_placeholders(&text);
            prop_assert!(shown.matches('\n').count() <= text.matches('\n').count());
            prop_assert!(plain(&shown).len() <= 4 * text.len());
            prop_assert!(sheets(&text).all(|(at, sheet)| at + sheet.len() < text.len()));
        }
    }
}
