//! That the lab sees a fault when there is one: two workers of the usual designs lose mails and send some twice.

use crate::lab::reference::{self, Design};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lab_sees_what_the_usual_designs_lose_and_send_twice() {
    let (checkpoint, resend) =
        tokio::join!(reference::killed(Design::CheckpointAtFetch, 5, 600), reference::killed(Design::ResendWhatWasSending, 5, 600));
    assert!(checkpoint.lost > 0 && checkpoint.twice == 0, "{checkpoint:#?}");
    assert!(resend.twice > 0 && resend.lost == 0, "{resend:#?}");
}
