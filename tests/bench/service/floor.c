// What the protocols cost in C. Prints nanoseconds, from the first of CALLS calls to the last, by PROCESSES processes:
//   floor send PROCESSES CALLS            send(2) on a socket that is connected to $NOTIFY_SOCKET
//   floor sd_notify PROCESSES CALLS       sd_notify(3)
//   floor journal PROCESSES CALLS BYTES   sd_journal_send(3), with a message of so many bytes, or of a few words
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// As in systemd/sd-daemon.h and systemd/sd-journal.h, whose package need not be installed.
int sd_notify(int unset_environment, const char *state);
int sd_journal_send(const char *format, ...);

static const char state[] = "STATUS=1204 users, 17 requests a second\n";

static void connected_send(int process, long calls, long bytes)
{
    (void)process, (void)bytes;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, getenv("NOTIFY_SOCKET"), sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        exit(1);
    for (long n = 0; n < calls; n++)
        if (send(fd, state, sizeof state - 1, MSG_NOSIGNAL) < 0)
            exit(1);
    close(fd);
}

static void notify(int process, long calls, long bytes)
{
    (void)process, (void)bytes;
    for (long n = 0; n < calls; n++)
        if (sd_notify(0, state) <= 0)
            exit(1);
}

static void journal(int process, long calls, long bytes)
{
    char *message = malloc(bytes + 1), words[100];
    memset(message, 'a', bytes);
    message[bytes] = 0;
    for (long n = 1; n <= calls; n++) {
        struct timespec now;
        struct tm utc;
        char date[32];
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &utc);
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
        snprintf(words, sizeof words, "floor %d %ld", process, n);
        // The fields of systemd_journal_h.
        if (sd_journal_send("MESSAGE=%s", bytes > 0 ? message : words,
                            "SYSLOG_TIMESTAMP=%s.%06ldZ", date, now.tv_nsec / 1000,
                            "SYSLOG_PID=%d", (int)getpid(),
                            "SYSLOG_IDENTIFIER=%s", "floor",
                            "PRIORITY=%d", 5,
                            "ERL_PID=<0.%d.0>", 200 + process,
                            "CODE_FILE=%s", "/srv/bench/bench_journal.erl",
                            "CODE_LINE=%d", 16,
                            "CODE_MFA=%s", "bench_journal:calls/2", NULL) < 0)
            exit(1);
    }
}

static long nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    long processes = atol(argv[2]), calls = atol(argv[3]), bytes = argc > 4 ? atol(argv[4]) : 0;
    void (*call)(int, long, long) = strcmp(argv[1], "send") == 0 ? connected_send
        : strcmp(argv[1], "sd_notify") == 0 ? notify : journal;
    int status = 0;
    long from = nanoseconds();
    for (int process = 1; process <= processes; process++)
        if (fork() == 0) {
            call(process, calls / processes, bytes);
            _exit(0);
        }
    for (int ended; wait(&ended) > 0;)
        status |= ended;
    printf("%ld\n", nanoseconds() - from);
    return status != 0;
}
