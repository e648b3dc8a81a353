/* SPDX-License-Identifier: ISC */
/*
 * A next hop that throws mail away: one process, epoll, PIPELINING and 8BITMIME. It
 * ends after -n messages, or -l seconds, and tells how many came and how long it took
 * from the first to the last. relay.py calls it. Loopback only.
 */
#include <sys/epoll.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define SESSIONS_MAX 4096

struct session {
	int fd;
	int in_data;
	int matched; /* of "\r\n.\r\n" */
	char line[1024];
	size_t len;
};

static struct session *sessions[SESSIONS_MAX];
static unsigned long messages, wanted = 1000000, connections;
static double first, last;

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
say(struct session *s, const char *text)
{
	/* Replies are short: a full socket is somebody who does not read. */
	(void)!write(s->fd, text, strlen(text));
}

static void
command(struct session *s)
{
	s->line[s->len] = '\0';
	if (strncasecmp(s->line, "EHLO", 4) == 0)
		say(s, "250-sink\r\n250-PIPELINING\r\n250-SIZE\r\n250 8BITMIME\r\n");
	else if (strncasecmp(s->line, "DATA", 4) == 0) {
		say(s, "354 go on\r\n");
		s->in_data = 1;
		s->matched = 2;
	} else if (strncasecmp(s->line, "QUIT", 4) == 0)
		say(s, "221 bye\r\n");
	else
		say(s, "250 ok\r\n");
	s->len = 0;
}

static void
take(struct session *s, const char *p, size_t n)
{
	static const char end[] = "\r\n.\r\n";

	for (size_t i = 0; i < n; i++) {
		if (s->in_data) {
			s->matched = p[i] == end[s->matched] ? s->matched + 1
				     : p[i] == '\r'          ? 1
							     : 0;
			if (s->matched < 5)
				continue;
			s->in_data = 0;
			messages++;
			last = now();
			say(s, "250 taken\r\n");
		} else if (p[i] == '\n')
			command(s);
		else if (s->len + 1 < sizeof(s->line))
			s->line[s->len++] = p[i];
	}
}

static void
end(struct session *s)
{
	sessions[s->fd] = NULL;
	close(s->fd);
	free(s);
}

static int
listen_on(const char *address, int port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (inet_pton(AF_INET, address, &in.sin_addr) != 1 ||
	    strncmp(address, "127.", 4) != 0) {
		fprintf(stderr, "smtp_sink: %s: not of loopback\n", address);
		exit(2);
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) == -1 ||
	    listen(fd, 1024) == -1) {
		perror("smtp_sink");
		exit(1);
	}
	return fd;
}

static void
welcome(int ep, int listener)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = accept(listener, NULL, NULL), on = 1;
	struct session *s;

	if (fd == -1)
		return;
	if (fd >= SESSIONS_MAX || (s = calloc(1, sizeof(*s))) == NULL) {
		close(fd);
		return;
	}
	if (connections++ == 0)
		first = now();
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	s->fd = fd;
	sessions[fd] = s;
	ev.data.fd = fd;
	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
	say(s, "220 sink ESMTP\r\n");
}

int
main(int argc, char **argv)
{
	const char *address = "127.0.0.1";
	int c, port = 2526, seconds = 60, ep, listener;
	struct epoll_event ev = { .events = EPOLLIN }, got[64];
	static char buf[65536];
	double until;

	while ((c = getopt(argc, argv, "h:p:n:l:")) != -1) {
		if (c == 'h')
			address = optarg;
		else if (c == 'p')
			port = (int)strtol(optarg, NULL, 10);
		else if (c == 'n')
			wanted = strtoul(optarg, NULL, 10);
		else if (c == 'l')
			seconds = (int)strtol(optarg, NULL, 10);
		else
			return 2;
	}
	listener = listen_on(address, port);
	ep = epoll_create1(0);
	ev.data.fd = listener;
	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev);
	until = now() + seconds;
	while (messages < wanted && now() < until) {
		int n = epoll_wait(ep, got, 64, 100);

		for (int i = 0; i < n; i++) {
			struct session *s;
			ssize_t k;

			if (got[i].data.fd == listener) {
				welcome(ep, listener);
				continue;
			}
			s = sessions[got[i].data.fd];
			k = read(s->fd, buf, sizeof(buf));
			if (k <= 0)
				end(s);
			else
				take(s, buf, (size_t)k);
		}
	}
	printf("messages=%lu seconds=%.3f rate=%.1f connections=%lu\n", messages,
	    last - first, last > first ? (double)messages / (last - first) : 0,
	    connections);
	return messages >= wanted ? 0 : 1;
}
