%% Calls that Dialyzer warns of, each in a function of its own: see tests/dialyzer.
-module(wrong).
-compile([export_all, nowarn_export_all]).

state() -> systemd:notify(42).
watchdog() -> systemd:watchdog(never).
status() -> systemd:ready(1).
port() -> systemd:listen_opts(http, "80").
children() -> systemd:set_status(down).
callback() -> systemd:status_every(5000, {my, fun_}).
result() -> true = systemd:notify(ready).
