//! Feeds: what may be fetched and what may not, what becomes of their articles, and the cron lines that bring them in.

mod cron;
mod fetching;
mod importing;
mod packed;
mod terminal;

/// A feed (RSS) of articles, each a title and its sections.
fn rss(articles: &[(&str, &[&str])]) -> Vec<u8> {
    let section = |words: &&str| {
        format!("<h2>The {words} in winter</h2><p>{}</p>", format!("Look at the {words} before the first frost comes. ").repeat(16))
    };
    let item = |(title, sections): &(&str, &[&str])| {
        let body: String = sections.iter().map(section).collect();
        let link = format!("https://news.example.org/{}", title.to_lowercase().replace(' ', "-"));
        format!(
            "<item><title>{title}</title><link>{link}</link><guid>{link}</guid><pubDate>Mon, 05 Jan 2026 08:00:00 GMT</pubDate>\
             <content:encoded><![CDATA[{body}]]></content:encoded></item>"
        )
    };
    let items: String = articles.iter().map(item).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rss version=\"2.0\" xmlns:content=\"http://purl.org/rss/1.0/modules/content/\">\
         <channel><title>News</title><link>https://news.example.org/</link><description>News</description>{items}</channel></rss>"
    )
    .into_bytes()
}
