//! Vocabulary: words that say nothing about what a section is about, because sections of any article bear them.
//!
//! Owns that list. Called by `headings` and `subject`.

/// A word that many sections of many articles have in their heading.
pub(crate) fn is_general(word: &str) -> bool {
    GENERAL.binary_search(&word).is_ok() || word.bytes().all(|b| b.is_ascii_digit())
}

/// In alphabetical order, which the search relies on.
#[rustfmt::skip]
const GENERAL: &[&str] = &[
    "additional", "advantage", "advantages", "advice", "ahead", "alternative", "alternatives", "announcing", "answer", "applies",
    "apply", "approach", "approaches", "ask", "asked", "attention", "avoid", "background", "bad", "basics",
    "benefit", "benefits", "best", "bonus", "buy", "call", "calling", "case", "cases", "cause",
    "causes", "caution", "caveats", "challenge", "challenges", "check", "choose", "closing", "coming", "common",
    "complications", "conclusion", "cons", "consider", "consideration", "considerations", "consult", "contact", "context", "cover",
    "covered", "definition", "details", "diagnosis", "directions", "disadvantage", "disadvantages", "discussion", "distinction", "doctor",
    "documentation", "don't", "dosage", "duration", "easy", "effect", "effects", "equipment", "event", "events",
    "evidence", "example", "examples", "expect", "experience", "experiences", "expert", "explained", "extra", "fact",
    "factor", "factors", "facts", "faq", "faqs", "feature", "features", "final", "find", "first",
    "fix", "forward", "frequency", "frequently", "further", "general", "getting", "goal", "goals", "going",
    "good", "got", "grow", "happen", "happened", "happens", "help", "helps", "here's", "highlight",
    "highlights", "i'd", "i'm", "i've", "idea", "ideas", "impact", "impacts", "important", "improve",
    "improving", "info", "information", "ingredients", "instead", "instructions", "introduction", "issue", "issues", "it'll",
    "keep", "key", "kinds", "know", "last", "later", "learned", "lesson", "lessons", "let",
    "let's", "level", "levels", "limitation", "limitations", "long", "look", "looking", "looks", "made",
    "main", "make", "making", "materials", "matter", "matters", "mean", "means", "medical", "method",
    "misc", "miscellaneous", "mistake", "mistakes", "more", "motivation", "much", "myth", "need", "new",
    "next", "normal", "note", "notes", "now", "number", "numbers", "often", "opportunities", "opportunity",
    "options", "other", "outcome", "outcomes", "outlook", "overview", "part", "parts", "point", "points",
    "practical", "preparation", "prepare", "preparing", "prerequisite", "prerequisites", "prevent", "prevention", "problem", "problems",
    "professional", "prognosis", "project", "projects", "pros", "provider", "qualifies", "qualify", "question", "questions",
    "quick", "range", "ranges", "real", "real-world", "reason", "reasons", "recipe", "recommendation", "recommendations",
    "remarks", "remedies", "remedy", "remember", "report", "reports", "requirement", "requirements", "research", "resource",
    "resources", "result", "results", "right", "risk", "risks", "role", "roles", "safe", "safety",
    "scenario", "scenarios", "science", "scope", "section", "sections", "see", "seek", "serving", "servings",
    "setup", "show", "shows", "side", "sign", "signs", "simple", "solution", "solutions", "soon",
    "source", "sources", "speak", "specific", "start", "started", "starting", "status", "step", "steps",
    "strategy", "studies", "study", "substitutions", "summary", "symptom", "symptoms", "take", "talk", "team",
    "teams", "tell", "that's", "there's", "thing", "things", "third", "thoughts", "timing", "tip",
    "tips", "today", "told", "tomorrow", "tools", "treat", "treatment", "treatments", "truth", "try",
    "type", "types", "understand", "understanding", "understood", "update", "updates", "us", "usage", "use",
    "used", "using", "value", "values", "variation", "variations", "visit", "warning", "warnings", "way",
    "ways", "we'll", "we're", "we've", "what's", "who's", "work", "works", "worried", "worry",
    "wrap", "wrapping", "wrong", "you'll",
];

#[cfg(test)]
mod tests {
    #[test]
    fn the_words_are_in_order() {
        assert!(super::GENERAL.is_sorted());
    }
}
