//! The pages that people reach from a letter. No login, no cookie, no script: the link's token is who they are.

mod post;
pub(super) mod unsubscribe;
