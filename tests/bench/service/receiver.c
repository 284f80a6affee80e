// A datagram socket in the manager's place: receiver PATH. Reads until it is killed. Says when WATCHDOG=1
// came, or END=1, in microseconds of CLOCK_MONOTONIC, a line each.
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define AT_ONCE 64

int main(int argc, char **argv)
{
    static char bytes[AT_ONCE][4096];
    struct mmsghdr messages[AT_ONCE] = {0};
    struct iovec parts[AT_ONCE];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path)
        return 2;
    strcpy(address.sun_path, argv[1]);
    unlink(argv[1]);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return perror("bind"), 1;
    for (int n = 0; n < AT_ONCE; n++) {
        parts[n] = (struct iovec){bytes[n], sizeof bytes[n]};
        messages[n].msg_hdr = (struct msghdr){.msg_iov = &parts[n], .msg_iovlen = 1};
    }
    for (;;) {
        int count = recvmmsg(fd, messages, AT_ONCE, MSG_WAITFORONE, NULL);
        for (int n = 0; n < count; n++)
            if ((messages[n].msg_len >= 10 && memcmp(bytes[n], "WATCHDOG=1", 10) == 0)
                || (messages[n].msg_len >= 5 && memcmp(bytes[n], "END=1", 5) == 0)) {
                struct timespec now;
                clock_gettime(CLOCK_MONOTONIC, &now);
                printf("%ld\n", now.tv_sec * 1000000 + now.tv_nsec / 1000);
                fflush(stdout);
            }
    }
}
