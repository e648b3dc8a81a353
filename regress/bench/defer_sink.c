/* SPDX-License-Identifier: ISC */
/*
 * An SMTP server on loopback that answers 451 to every RCPT, for any number of
 * connections: the destination of a long queue. queue.py starts it.
 *
 * Prints its port; at SIGTERM how many recipients it has put off.
 */
#include <sys/epoll.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define LINE_MAX_IN 4096

struct client {
	int fd;
	size_t len;
	char in[LINE_MAX_IN];
};

static volatile sig_atomic_t stopped;
static unsigned long deferred;
static int ep;

static void
on_term(int sig)
{
	(void)sig;
	stopped = 1;
}

static void
drop(struct client *c)
{
	close(c->fd);
	free(c);
}

static const char *
reply(const char *line)
{
	if (strncasecmp(line, "EHLO", 4) == 0)
		return "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE "
		       "100000000\r\n"
		       "250 ENHANCEDSTATUSCODES\r\n";
	if (strncasecmp(line, "RCPT", 4) == 0) {
		deferred++;
		return "451 4.2.1 The mailbox is busy, try again later\r\n";
	}
	if (strncasecmp(line, "DATA", 4) == 0)
		return "503 5.5.1 No recipients\r\n";
	if (strncasecmp(line, "QUIT", 4) == 0)
		return "221 2.0.0 bye\r\n";
	return "250 2.0.0 ok\r\n";
}

/* Every complete line is answered, all in one write. 0, or -1: the end. */
static int
serve(struct client *c)
{
	char out[16384];
	size_t used = 0, at = 0;
	ssize_t n = read(c->fd, c->in + c->len, sizeof(c->in) - c->len);
	char *nl;
	int quit = 0;

	if (n <= 0)
		return n == -1 && errno == EAGAIN ? 0 : -1;
	c->len += (size_t)n;
	while (!quit && (nl = memchr(c->in + at, '\n', c->len - at)) != NULL) {
		const char *text;
		size_t len;

		*nl = '\0';
		text = reply(c->in + at);
		len = strlen(text);
		quit = strncmp(text, "221", 3) == 0;
		at = (size_t)(nl + 1 - c->in);
		if (used + len > sizeof(out))
			return -1;
		memcpy(out + used, text, len);
		used += len;
	}
	memmove(c->in, c->in + at, c->len - at);
	c->len -= at;
	if (c->len == sizeof(c->in))
		return -1;
	if (used > 0 && write(c->fd, out, used) != (ssize_t)used)
		return -1;
	return quit ? -1 : 0;
}

static void
greet(int lfd)
{
	static const char banner[] = "220 sink.test ESMTP\r\n";
	struct epoll_event ev = { .events = EPOLLIN };
	struct client *c;
	int fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd == -1)
		return;
	if ((c = calloc(1, sizeof(*c))) == NULL)
		err(1, NULL);
	c->fd = fd;
	ev.data.ptr = c;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == -1 ||
	    write(fd, banner, sizeof(banner) - 1) == -1)
		drop(c);
}

int
main(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	struct epoll_event ev = { .events = EPOLLIN }, evs[64];
	struct sigaction sa = { .sa_handler = on_term };
	int lfd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (lfd == -1 || bind(lfd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(lfd, 1024) == -1 ||
	    getsockname(lfd, (struct sockaddr *)&sin, &len) == -1 ||
	    (ep = epoll_create1(EPOLL_CLOEXEC)) == -1 ||
	    epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &ev) == -1)
		err(1, "listen");
	printf("%u\n", ntohs(sin.sin_port));
	fflush(stdout);
	while (!stopped) {
		int n = epoll_wait(ep, evs, 64, 1000);

		for (int i = 0; i < n; i++) {
			if (evs[i].data.ptr == NULL)
				greet(lfd);
			else if (serve(evs[i].data.ptr) == -1)
				drop(evs[i].data.ptr);
		}
	}
	printf("%lu put off\n", deferred);
	return 0;
}
