// A socket that swallows everything: journal_swallow PATH. Sleeps instead of waiting for datagrams, so
// that nobody who sends one pays for waking it.
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static char datagram[1 << 20];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path)
        return 2;
    strcpy(address.sun_path, argv[1]);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return perror("bind"), 1;
    for (;;)
        if (recv(fd, datagram, sizeof datagram, MSG_DONTWAIT) < 0)
            usleep(100);
}
