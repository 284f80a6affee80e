// What sd_journal_send(3) takes: journal_floor PROCESSES LINES, with the fields of systemd_journal_h.
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// As in systemd/sd-journal.h, whose package need not be installed.
int sd_journal_send(const char *format, ...);

static void lines(int process, int count)
{
    for (int n = 1; n <= count; n++) {
        struct timespec now;
        struct tm utc;
        char date[32];
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &utc);
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
        sd_journal_send("MESSAGE=%s %d %d", "floor", process, n,
                        "SYSLOG_TIMESTAMP=%s.%06ldZ", date, now.tv_nsec / 1000,
                        "SYSLOG_PID=%d", (int)getpid(),
                        "SYSLOG_IDENTIFIER=%s", "floor",
                        "PRIORITY=%d", 5,
                        "ERL_PID=<0.%d.0>", 200 + process,
                        "CODE_FILE=%s", "/srv/live/live_flood.erl",
                        "CODE_LINE=%d", 16,
                        "CODE_MFA=%s", "live_flood:lines/3", NULL);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    int processes = atoi(argv[1]);
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int process = 1; process <= processes; process++)
        if (fork() == 0) {
            lines(process, atoi(argv[2]) / processes);
            _exit(0);
        }
    while (wait(NULL) > 0)
        ;
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%ld\n", (to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000);
    return 0;
}
