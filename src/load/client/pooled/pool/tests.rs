//! Who gets a connection, and when a new one is made.

use tokio::time::timeout;

use super::*;
use crate::load::client::http1::Connection;

fn somewhere() -> Arc<Destination> {
    Arc::new(Destination {
        host: "somewhere.invalid".into(),
        port: 80,
        secure: false,
    })
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[tokio::test(start_paused = true)]
async fn who_can_hardly_be_answered_goes_last() {
    let pool = Pool::<Connection>::new(1, 64, Places::new(1));
    let to = somewhere();
    let soon = |ms| Instant::now() + Duration::from_millis(ms);
    let held = pool.lease(&to, soon(1_000)).await;
    pool.gave_up(Duration::from_millis(50));
    let (order, mut first) = tokio::sync::mpsc::unbounded_channel();
    let ask = |ms| {
        let (pool, to, order) = (Arc::clone(&pool), Arc::clone(&to), order.clone());
        let deadline = soon(ms);
        tokio::spawn(async move {
            let lease = pool.lease(&to, deadline).await;
            order.send(ms).unwrap();
            drop(lease);
        })
    };
    let (hopeless, hopeful) = (ask(99), ask(101));
    tokio::task::yield_now().await;
    drop(held);
    assert_eq!(first.recv().await, Some(101));
    assert_eq!(first.recv().await, Some(99), "nobody else wants it");
    hopeless.await.unwrap();
    hopeful.await.unwrap();
    // Answers that come at once bring hope back: the oldest is first again.
    (0..100).for_each(|_| pool.took(Duration::ZERO));
    let held = pool.lease(&to, later()).await;
    let both = [ask(10), ask(1_000)];
    tokio::task::yield_now().await;
    drop(held);
    assert_eq!(
        (first.recv().await, first.recv().await),
        (Some(10), Some(1_000))
    );
    for one in both {
        one.await.unwrap();
    }
}

/// Turns and places that are taken.
fn counted(pool: &Pool<Connection>) -> (usize, usize) {
    let state = pool.state();
    (state.opening, state.taken)
}

#[tokio::test(start_paused = true)]
async fn few_are_opened_at_a_time_and_the_others_wait() {
    let pool = Pool::<Connection>::new(10, 2, Places::new(10));
    let to = somewhere();
    let (first, mut second) = (
        pool.lease(&to, later()).await,
        pool.lease(&to, later()).await,
    );
    let (asked, mut order) = tokio::sync::mpsc::unbounded_channel();
    let waiting: Vec<_> = (0..3)
        .map(|i| {
            let (pool, to, asked) = (Arc::clone(&pool), Arc::clone(&to), asked.clone());
            tokio::spawn(async move {
                let lease = pool.lease(&to, later()).await;
                asked.send((i, lease)).unwrap();
            })
        })
        .collect();
    for one in &waiting {
        assert!(!one.is_finished());
        tokio::task::yield_now().await;
    }
    assert!(order.try_recv().is_err(), "there are places, and no turn");
    // One who failed, and one who is through, with his place kept.
    drop(first);
    second.opened();
    let (one, two) = (order.recv().await.unwrap(), order.recv().await.unwrap());
    assert_eq!((one.0, two.0), (0, 1));
    assert!(order.try_recv().is_err());
    // Who has a place and wants another connection waits for a turn, too, and comes first.
    let mut again = tokio::spawn(async move {
        second.may_open().await;
        second
    });
    tokio::task::yield_now().await;
    drop(one);
    assert!(timeout(Duration::from_secs(1), &mut again).await.is_ok());
    assert!(order.try_recv().is_err());
    drop(two);
    assert_eq!(order.recv().await.unwrap().0, 2);
    assert_eq!(counted(&pool), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_nobody_waits_for_any_more_goes_on() {
    let pool = Pool::<Connection>::new(10, 1, Places::new(10));
    let to = somewhere();
    let mut held = pool.lease(&to, later()).await;
    held.opened();
    let opening = pool.lease(&to, later()).await;
    for _ in 0..10_000 {
        assert!(timeout(Duration::ZERO, held.may_open()).await.is_err());
        let waited = timeout(Duration::ZERO, pool.lease(&to, later())).await;
        assert!(waited.is_err());
    }
    drop(opening);
    assert_eq!(counted(&pool), (0, 1));
    assert!(timeout(Duration::ZERO, held.may_open()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn beyond_the_limit_the_oldest_is_first() {
    let pool = Pool::<Connection>::new(1, 64, Places::new(1));
    let to = somewhere();
    let first = pool.lease(&to, later()).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let waiting: Vec<_> = (0..5)
        .map(|i| {
            let (pool, to, order) = (Arc::clone(&pool), Arc::clone(&to), Arc::clone(&order));
            tokio::spawn(async move {
                let lease = pool.lease(&to, later()).await;
                order.lock().unwrap().push(i);
                drop(lease);
            })
        })
        .collect();
    tokio::task::yield_now().await;
    assert!(order.lock().unwrap().is_empty());
    drop(first);
    for waiter in waiting {
        waiter.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(pool.state().taken, 0);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_gave_up_takes_no_place() {
    let pool = Pool::<Connection>::new(1, 64, Places::new(1));
    let to = somewhere();
    let first = pool.lease(&to, later()).await;
    for _ in 0..10_000 {
        let waited = timeout(Duration::ZERO, pool.lease(&to, later())).await;
        assert!(waited.is_err());
    }
    drop(first);
    assert_eq!(pool.state().taken, 0);
    // The place is there for the next.
    let again = timeout(Duration::from_secs(1), pool.lease(&to, later())).await;
    assert!(again.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_one_pool_holds_another_cannot_have() {
    let places = Places::new(2);
    let one = Pool::<Connection>::new(2, 64, places.clone());
    let other = Pool::<Connection>::new(1, 64, places);
    let to = somewhere();
    let held = [
        one.lease(&to, later()).await,
        other.lease(&to, later()).await,
    ];
    let refused = timeout(Duration::ZERO, one.lease(&to, later())).await;
    assert!(refused.is_err(), "both places are taken");
    let [of_one, of_other] = held;
    drop(of_other);
    assert!(
        timeout(Duration::ZERO, one.lease(&to, later()))
            .await
            .is_ok()
    );
    drop(of_one);
    assert!(
        timeout(Duration::ZERO, other.lease(&to, later()))
            .await
            .is_ok()
    );
}
