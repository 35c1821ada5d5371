//! From keys to what is asked.

use proptest::prelude::*;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{Key, Operating, Prompt};
use crate::fault::offers;
use crate::judge::testing::{KILLED, S, STEP, Script, ZERO, plan_with};
use crate::model::{Act, Action, Take};
use crate::tui::player::Replay;
use crate::tui::state::State;

/// The usual drill at a moment.
fn state(at_us: i64) -> State {
    let plan = plan_with(STEP, "availability: { at_least: 99% }");
    let recording = Script::drill(&plan, 40).recording();
    let mut state = State::new(plan.clone());
    Replay::new(plan, recording, 0, 1.0).seek(&mut state, at_us);
    state
}

fn press(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

/// What the last of these keys comes to, each half a second after the one before.
fn typed(operating: &mut Operating, state: &State, keys: &str) -> Key {
    let mut last = Key::Other;
    for (tick, letter) in (0..).zip(keys.chars()) {
        let code = match letter {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '\u{1b}' => KeyCode::Esc,
            letter => KeyCode::Char(letter),
        };
        last = operating.key(press(code), state, tick * S / 2);
    }
    last
}

fn one() -> String {
    "lose-one".to_owned()
}

#[test]
fn nothing_that_could_do_harm_is_done_by_one_key() {
    let (before, during) = (state(ZERO + S), state(KILLED + S));
    for (state, key, act) in [
        (&before, "f", Act::Fire { step: one() }),
        (&before, "s", Act::Skip { step: one() }),
        (&during, "h", Act::Heal { step: one() }),
        (
            &during,
            "e",
            Act::Extend {
                step: one(),
                by_us: 10 * S,
            },
        ),
    ] {
        let mut operating = Operating::default();
        assert_eq!(typed(&mut operating, state, key), Key::Taken);
        assert_eq!(typed(&mut operating, state, "x"), Key::Taken);
        assert!(operating.prompt.is_none(), "another key is a no");
        let confirmed = format!("{key}y");
        assert_eq!(typed(&mut operating, state, &confirmed), Key::Act(act));
        assert!(operating.prompt.is_none());
    }
}

#[test]
fn what_cannot_be_done_now_is_not_even_asked() {
    let (before, during) = (state(ZERO + S), state(KILLED + S));
    for (state, key) in [
        (&before, "h"),
        (&before, "e"),
        (&during, "f"),
        (&during, "s"),
    ] {
        let mut operating = Operating::default();
        let said = typed(&mut operating, state, key);
        assert!(matches!(said, Key::Say(_)), "{key}: {said:?}");
    }
    assert!(matches!(
        typed(&mut Operating::default(), &before, "a"),
        Key::Say(_)
    ));
}

#[test]
fn letters_are_text_where_text_is_asked_for() {
    let state = state(ZERO + S);
    let mut operating = Operating::default();
    typed(&mut operating, &state, "nAre they all up?");
    assert!(operating.typing());
    let text = "Are they all up?".to_owned();
    assert_eq!(
        typed(&mut operating, &state, "\n"),
        Key::Act(Act::Note { text })
    );
    assert_eq!(
        typed(&mut operating, &state, "r50%\n"),
        Key::Act(Act::Rate { factor: 0.5 })
    );
    // What cannot be meant is not sent, and may be mended.
    assert_eq!(typed(&mut operating, &state, "r50\n"), Key::Taken);
    let Some(Prompt::Line(line)) = &operating.prompt else {
        panic!("{operating:?}");
    };
    assert!(line.wrong.as_ref().is_some_and(|w| w.contains("50%")));
    assert_eq!(
        typed(&mut operating, &state, "%\n"),
        Key::Act(Act::Rate { factor: 0.5 })
    );
    let Key::Act(Act::Predict { step, prediction }) =
        typed(&mut operating, &state, "P2s, BackendDown\n")
    else {
        panic!("{operating:?}");
    };
    assert_eq!((step, prediction.failover_us), (one(), Some(2 * S)));
}

#[test]
fn a_fault_is_chosen_from_what_the_stack_supports() {
    let state = state(ZERO + S);
    let mut operating = Operating {
        offers: offers(&state.plan),
        ..Operating::default()
    };
    assert!(operating.offers.len() > 3, "{:?}", operating.offers);
    typed(&mut operating, &state, "a");
    for code in [
        KeyCode::Down,
        KeyCode::Down,
        KeyCode::Up,
        KeyCode::PageDown,
        KeyCode::Home,
    ] {
        operating.key(press(code), &state, 0);
    }
    let Key::Act(Act::Break {
        action, hold_us, ..
    }) = typed(&mut operating, &state, "*++-\ny")
    else {
        panic!("{operating:?}");
    };
    assert!(
        matches!(
            *action,
            Action::Kill {
                take: Take::All,
                ..
            }
        ),
        "{action:?}"
    );
    assert_eq!(hold_us, 15 * S);
}

#[test]
fn a_word_that_is_typed_on_is_no_answer() {
    let state = state(ZERO + S);
    let mut operating = Operating::default();
    for (tick, letter) in (0..).zip("verify".chars()) {
        let key = press(KeyCode::Char(letter));
        let done = operating.key(key, &state, tick * S / 10);
        assert!(!matches!(done, Key::Act(_)), "{letter}: {done:?}");
    }
    operating.prompt = None;
    operating.paste("fyp");
    assert!(operating.prompt.is_none());
    typed(&mut operating, &state, "n");
    operating.paste("two\nlines");
    let text = "two lines".to_owned();
    assert_eq!(
        typed(&mut operating, &state, "\n"),
        Key::Act(Act::Note { text })
    );
}

#[test]
fn a_key_for_the_schedule_is_its_own_opposite() {
    let mut state = state(ZERO + S);
    assert_eq!(
        typed(&mut Operating::default(), &state, "p"),
        Key::Act(Act::Pause)
    );
    state.pauses.begin(ZERO);
    assert_eq!(
        typed(&mut Operating::default(), &state, "p"),
        Key::Act(Act::Resume)
    );
}

proptest! {
    #[test]
    fn no_keys_make_it_panic_and_few_are_acts(keys in "[fshepnrkPaxy\\n\\t\\x1b*+0-9%, ]{0,40}", late: bool) {
        let state = state(if late { KILLED + S } else { ZERO + S });
        let mut operating = Operating { offers: offers(&state.plan), ..Operating::default() };
        typed(&mut operating, &state, &keys);
    }
}
