%% The levels of log lines on standard error, see sd-daemon(3).

-define(SD_EMERG, "<0>").
-define(SD_ALERT, "<1>").
-define(SD_CRIT, "<2>").
-define(SD_ERR, "<3>").
-define(SD_WARNING, "<4>").
-define(SD_NOTICE, "<5>").
-define(SD_INFO, "<6>").
-define(SD_DEBUG, "<7>").
