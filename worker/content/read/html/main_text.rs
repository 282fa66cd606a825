//! Where a page's article stands, and which parts of it and around it are no text of the article, with the reason for each.
//!
//! Owns the choice of the root and the rule by which a part is believed to be one. Called by `html`.

use super::page::{Page, is_block};
use super::{flow, parts};
use crate::content::{headings, words};

/// The article's place on its page.
#[derive(Debug)]
pub(super) struct Found {
    /// The element that holds the article.
    pub(super) root: usize,
    /// Why a node with all below it is left out; nothing for what is kept.
    pub(super) left: Vec<Option<&'static str>>,
}

/// Finds the article.
pub(super) fn find(page: &Page<'_>) -> Found {
    let words = page.words();
    let mut left = parts::reasons(page, &words);
    let all = prose(page, &vec![None; page.nodes.len()]);
    let links = Links::of(page);
    for node in 0..left.len() {
        let of_links = left[node].is_some_and(|reason| LINKS.contains(&reason));
        if of_links && all[node] >= 20 && links.words[node] * 10 < words[node] * 3 {
            left[node] = None;
        }
        let much = all[node] * 10 > all[0] * 5 && all[node] >= 60;
        if left[node].is_some_and(|reason| much && (!parts::is_certain(reason) || all[node] * 10 > all[0] * 9)) {
            left[node] = None;
        }
    }
    let kept = prose(page, &left);
    let root = root(page, &left, &kept);
    page.ancestors(root).chain([root]).for_each(|node| left[node] = None);
    let marked: Vec<usize> = page.below(root).filter(|node| left[*node].is_some()).collect();
    for node in marked {
        let much = all[node] * 10 > all[root] * 4 && all[node] >= 60;
        if much && !left[node].is_some_and(parts::is_certain) {
            left[node] = None;
        }
    }
    settle_links(page, root, &words, &links, &mut left);
    settle_teasers(page, root, &words, &mut left);
    settle_other_articles(page, root, &all, &mut left);
    Found { root, left }
}

/// Parts that consist of links; what holds running text instead is called so for another reason.
const LINKS: [&str; 5] = ["navigation", "table of contents", "tags", "page links", "breadcrumbs"];

/// For each subtree how many links it has, and how many words stand in links.
struct Links {
    count: Vec<usize>,
    words: Vec<usize>,
}

impl Links {
    fn of(page: &Page<'_>) -> Links {
        let mut linked = vec![false; page.nodes.len()];
        for node in 1..page.nodes.len() {
            linked[node] = linked[page.nodes[node].parent] || page.name(node) == "a";
        }
        Links {
            count: page.sums(|node| usize::from(page.name(node) == "a" && page.attribute(node, "href").is_some())),
            words: page.sums(|node| if linked[node] { words::count(page.nodes[node].text) } else { 0 }),
        }
    }
}

/// For each subtree the words of its running text: paragraphs of more than a few words, without those of links and of parts that
/// are left out.
fn prose(page: &Page<'_>, left: &[Option<&'static str>]) -> Vec<usize> {
    let mut out = vec![false; page.nodes.len()];
    let mut linked = vec![false; page.nodes.len()];
    let mut block = vec![0_usize; page.nodes.len()];
    let mut held = vec![0_usize; page.nodes.len()];
    for node in 1..page.nodes.len() {
        let parent = page.nodes[node].parent;
        out[node] = out[parent] || left[node].is_some();
        linked[node] = linked[parent] || page.name(node) == "a";
        block[node] = if is_block(page.name(node)) { node } else { block[parent] };
        if !out[node] && !linked[node] {
            held[block[node]] += words::count(page.nodes[node].text);
        }
    }
    page.sums(|node| if held[node] >= 10 || (held[node] >= 5 && matches!(page.name(node), "p" | "li")) { held[node] } else { 0 })
}

const BODIES: [&str; 34] = [
    "entry-content",
    "post-content",
    "article-body",
    "article__body",
    "article-content",
    "article__content",
    "post-body",
    "post__content",
    "post__body",
    "postcontent",
    "story-body",
    "story-content",
    "td-post-content",
    "single-content",
    "blog-post-content",
    "blog-content",
    "markdown-body",
    "mw-parser-output",
    "post-text",
    "articlebody",
    "article_body",
    "entry__content",
    "content-body",
    "post_content",
    "article-text",
    "e-content",
    "blog-post-body",
    "post-full-content",
    "gh-content",
    "rich-text",
    "body-content",
    "w-richtext",
    "available-content",
    "caas-body",
];

/// The element that holds the article: what is named as its text, an article, the main part, or what most of the text stands in.
fn root(page: &Page<'_>, left: &[Option<&'static str>], prose: &[usize]) -> usize {
    let outside = |node: usize| left[node].is_some() || page.ancestors(node).any(|at| left[at].is_some());
    let best = |fits: &dyn Fn(usize) -> bool| {
        let fitting = (1..page.nodes.len()).filter(|node| prose[*node] > 0 && fits(*node) && !outside(*node));
        fitting.fold(None, |best: Option<usize>, node| if best.is_none_or(|best| prose[node] > prose[best]) { Some(node) } else { best })
    };
    let body = best(&|node| is_body(page, node));
    let article = best(&|node| is_article(page, node));
    let main = best(&|node| is_main(page, node));
    let dense = dense(page, prose);
    let total = prose[0];
    let enough = |node: &usize, of: usize, tenths: usize| prose[*node] * 10 >= of * tenths && prose[*node] >= 20;
    let article = article.filter(|node| enough(node, total, 4));
    let main = main.filter(|node| enough(node, total, 4));
    // The text that is named as such may be one of several on a page of teasers, or end before the article does.
    let around = article.or(main).map_or(total, |node| prose[node]);
    let body = body.filter(|node| enough(node, around, 8));
    let chosen = body
        .or(article)
        .or(main.map(|main| if prose[dense] * 10 >= prose[main] * 8 && page.below(main).contains(&dense) { dense } else { main }));
    chosen.unwrap_or(dense)
}

fn is_body(page: &Page<'_>, node: usize) -> bool {
    page.has_word(node, "itemprop", "articleBody")
        || page
            .attribute(node, "class")
            .is_some_and(|class| class.split_ascii_whitespace().any(|one| BODIES.contains(&one.to_ascii_lowercase().as_str())))
        || page.attribute(node, "id").is_some_and(|id| BODIES.contains(&id.to_ascii_lowercase().as_str()))
}

fn is_article(page: &Page<'_>, node: usize) -> bool {
    page.name(node) == "article"
        || page.attribute(node, "role") == Some("article")
        || ["hentry", "h-entry", "type-post", "blog-post", "single-post"]
            .iter()
            .any(|class| page.has_word(node, "class", class) && page.name(node) != "body")
}

fn is_main(page: &Page<'_>, node: usize) -> bool {
    page.name(node) == "main"
        || page.attribute(node, "role") == Some("main")
        || page.attribute(node, "id").is_some_and(|id| {
            matches!(id.to_ascii_lowercase().as_str(), "main" | "content" | "main-content" | "maincontent" | "bodycontent")
        })
}

/// The lowest element in which four fifths of the page's running text stand; a cell may be one, a row is none.
fn dense(page: &Page<'_>, prose: &[usize]) -> usize {
    let body = page.children(0).find(|child| page.name(*child) == "body").unwrap_or(0);
    let mut at = body;
    let most = prose[body].max(1);
    let next = |at: usize| page.children(at).max_by_key(|child| prose[*child]).filter(|child| prose[*child] * 10 >= most * 8);
    while let Some(next) = next(at).filter(|next| page.nodes[*next].element.is_some() && can_hold(page, *next)) {
        at = next;
    }
    while matches!(page.name(at), "table" | "tbody" | "thead" | "tfoot" | "tr") {
        at = page.nodes[at].parent;
    }
    at
}

fn can_hold(page: &Page<'_>, node: usize) -> bool {
    !matches!(page.name(node), "p" | "ul" | "ol" | "dl" | "blockquote" | "pre" | "li" | "details" | "figure")
        && flow::heading_level(page, node).is_none()
}

/// Elements that hold links and nothing else; lists are told later, when it is known what stands over them.
fn settle_links(page: &Page<'_>, root: usize, words: &[usize], links: &Links, left: &mut [Option<&'static str>]) {
    let mut node = root + 1;
    while node < page.nodes[root].end {
        let count = links.count[node];
        let only_links = count >= 2 && links.words[node] * 4 >= words[node] * 3 && words[node] <= count * 40;
        let place = |at: &usize| page.name(*at) == "a" && page.attribute(*at, "href").is_some_and(|href| href.starts_with('#'));
        let kind = match page.name(node) {
            "div" | "section" | "aside" | "center" => 3,
            // Only a list of places on the page can be told by itself.
            "ul" | "ol" => 2,
            _ => usize::MAX,
        };
        if left[node].is_none() && only_links && count >= kind && !lists_sources(page, node) {
            let here = page.below(node).filter(place).count();
            left[node] = match here {
                here if here == count || kind == 3 && here * 2 > count => Some("table of contents"),
                _ => (kind == 3).then_some("list of links"),
            };
        }
        node = if left[node].is_some() { page.nodes[node].end } else { node + 1 };
    }
}

/// Whether a heading in it or right above it says that these are the sources.
fn lists_sources(page: &Page<'_>, node: usize) -> bool {
    let is_sources = |at: usize| flow::heading_level(page, at).is_some() && headings::role(&page.text(at)) == headings::Role::References;
    let parent = page.nodes[node].parent;
    let before = page.children(parent).take_while(|child| *child < node).last();
    page.below(node).any(is_sources) || before.is_some_and(|before| is_sources(before) || page.below(before).any(is_sources))
}

/// A row of cards: neighbours of one shape, each a heading that is a link to another page, with a few words under it.
fn settle_teasers(page: &Page<'_>, root: usize, words: &[usize], left: &mut [Option<&'static str>]) {
    for parent in std::iter::once(root).chain(page.below(root)) {
        if page.nodes[parent].element.is_none() {
            continue;
        }
        let children: Vec<usize> = page.children(parent).filter(|child| page.nodes[*child].element.is_some()).collect();
        for run in children.chunk_by(|a, b| is_teaser(page, *a, words) == is_teaser(page, *b, words)) {
            if run.len() >= 2 && is_teaser(page, run[0], words) {
                run.iter().for_each(|card| left[*card] = left[*card].or(Some("related posts")));
            }
        }
        for child in children.into_iter().filter(|child| calls_on(page, *child, words)) {
            left[child] = left[child].or(Some("related posts"));
        }
    }
}

/// A box of a few words that ends with a link to read on elsewhere.
fn calls_on(page: &Page<'_>, node: usize, words: &[usize]) -> bool {
    let boxed = (8..=70).contains(&words[node]) && matches!(page.name(node), "div" | "aside" | "section" | "figure" | "blockquote");
    boxed
        && page.below(node).rev().find(|at| page.name(*at) == "a").is_some_and(|last| {
            let key = crate::content::words::key(&page.text(last));
            let at_end = !page.nodes[page.nodes[last].end..page.nodes[node].end].iter().any(|after| !after.text.trim().is_empty());
            at_end && ["read more", "continue reading", "read the full story", "read full article", "see more"].contains(&key.as_str())
        })
}

/// Pages that load the next article under the one that was asked for: another title of the same dress, and text under it.
fn settle_other_articles(page: &Page<'_>, root: usize, prose: &[usize], left: &mut [Option<&'static str>]) {
    let is_title = |node: &usize| page.name(*node) == "h1" && page.attribute(*node, "class").is_some_and(|class| class.contains("title"));
    let titles: Vec<usize> = page.below(root).filter(is_title).collect();
    let Some(first) = titles.first().copied() else { return };
    let names =
        |node: usize| page.attribute(node, "class").unwrap_or_default().split_ascii_whitespace().filter(|name| name.contains("title"));
    for other in titles.iter().skip(1).filter(|other| names(**other).any(|name| names(first).any(|own| own == name))) {
        let holds_first = |node: usize| node < first && first < page.nodes[node].end;
        let apart = std::iter::once(*other).chain(page.ancestors(*other)).take_while(|node| !holds_first(*node)).last().unwrap_or(*other);
        if prose[apart] >= 40 {
            left[apart] = left[apart].or(Some("another article"));
        }
    }
}

fn is_teaser(page: &Page<'_>, node: usize, words: &[usize]) -> bool {
    if !(3..=70).contains(&words[node]) || !matches!(page.name(node), "div" | "article" | "li" | "a" | "section") {
        return false;
    }
    let mut headings = page.below(node).filter(|at| flow::heading_level(page, *at).is_some());
    let Some(heading) = headings.next() else { return false };
    let leads_away = |at: usize| page.attribute(at, "href").is_some_and(|href| !href.starts_with('#'));
    let is_link = page.below(heading).any(|at| page.name(at) == "a" && leads_away(at) && words[at] == words[heading])
        || std::iter::once(heading)
            .chain(page.ancestors(heading))
            .take_while(|at| *at >= node)
            .any(|at| page.name(at) == "a" && leads_away(at));
    headings.next().is_none() && is_link
}
