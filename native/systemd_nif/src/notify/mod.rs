pub(crate) mod announced;
pub(crate) mod notifier;
pub(crate) mod states;
