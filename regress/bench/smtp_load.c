/* SPDX-License-Identifier: ISC */
/*
 * Sends mail to an SMTP server on this host as fast as a number of sessions can, and
 * tells how fast that was; with -L it speaks LMTP. One process, epoll, one command at a
 * time a session (no pipelining), and as few system calls as that allows, since it shares
 * the processors with the server that is measured. run.sh calls it.
 *
 * The rate counts messages that got their 250, from the first connection to the last
 * 250; the latency is that of this 250, from the last octet of the content on. With -w
 * it goes on until the folders hold that many more files: "delivered" is then counted
 * to the last of them.
 */
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SESSIONS_MAX 1000
#define MESSAGES_MAX 1000000
#define SIZE_MAX_OCTETS (64 * 1024 * 1024)
#define WAIT_POLL_NS 10000000
#define ERRORS_SHOWN 5

enum state {
	BANNER,
	EHLO,
	MAIL,
	RCPT,
	DATA,
	BODY,
	QUIT,
	ENDED
};

struct session {
	int fd;
	enum state state;
	unsigned long number; /* of the message in hand */
	unsigned long sent;   /* messages on this connection */
	char in[2048];
	size_t in_len;
	const char *out; /* what is being written */
	size_t out_len;
	size_t out_at;
	char line[700];
	char head[400];
	int writes_body; /* out is the head, the shared body follows */
	double body_end;
};

static struct {
	int port;
	unsigned int sessions;
	unsigned long messages;
	unsigned long per_connection; /* 0: no end */
	size_t size;
	const char *sender;
	const char *recipient; /* %d: number of the message modulo users */
	unsigned long users;
	double seconds; /* 0: as long as it takes */
	double limit;
	char **folders;
	int n_folders;
	int lmtp;
} opt = { 0, 10, 1000, 1, 4096, "bench@bench.test", "u%d@example.test", 10, 0, 60, NULL,
	0, 0 };

static struct session sessions[SESSIONS_MAX];
static struct sockaddr_in server;
static int ep;
static char *body;
static size_t body_len;
static unsigned long started, accepted, errors;
static float *latency_ms;
static double t_start, t_last;
static unsigned int live;
static long pid;

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
die(const char *what)
{
	fprintf(stderr, "smtp_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned long
number(const char *s, unsigned long max)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(s, &end, 10);
	if (errno != 0 || end == s || *end != '\0' || *s == '-' || n > max) {
		fprintf(stderr, "smtp_load: %s: expected a number up to %lu\n", s, max);
		exit(2);
	}
	return n;
}

/* Lines of text and the end of the data; the head of each message comes before. */
static void
make_body(size_t size)
{
	static const char line[] =
	    "The quick brown fox jumps over the lazy dog, and once more it does.\r\n";
	size_t n = 0;

	if ((body = malloc(size + sizeof(line) + 8)) == NULL)
		die("memory");
	while (n + sizeof(line) - 1 <= size) {
		memcpy(body + n, line, sizeof(line) - 1);
		n += sizeof(line) - 1;
	}
	memcpy(body + n, ".\r\n", 3);
	body_len = n + 3;
}

static int
more_to_send(void)
{
	if (started >= opt.messages)
		return 0;
	return opt.seconds == 0 || now() - t_start < opt.seconds;
}

static void session_open(struct session *);

static void
session_close(struct session *s)
{
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
	s->in_len = 0;
	s->sent = 0;
	if (more_to_send() && errors < opt.messages)
		session_open(s);
	else if (s->state != ENDED) {
		s->state = ENDED;
		live--;
	}
}

static void
session_fail(struct session *s, const char *what, const char *said)
{
	if (errors++ < ERRORS_SHOWN)
		fprintf(stderr, "smtp_load: %s: %.*s\n", what, (int)strcspn(said, "\r\n"),
		    said);
	session_close(s);
}

/* Writes what there is; the rest when the socket has room again (edge-triggered). */
static void
session_write(struct session *s)
{
	for (;;) {
		struct iovec iov[2] = { { (char *)(uintptr_t)s->out + s->out_at,
					    s->out_len - s->out_at },
			{ body, s->writes_body ? body_len : 0 } };
		struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
		ssize_t n;

		if (iov[0].iov_len == 0 && iov[1].iov_len == 0)
			break;
		n = sendmsg(s->fd, &msg, MSG_NOSIGNAL);
		if (n == -1 && errno == EAGAIN)
			return;
		if (n == -1) {
			session_fail(s, "write", strerror(errno));
			return;
		}
		s->out_at += (size_t)n;
		if (s->writes_body && s->out_at >= s->out_len) {
			s->out_at -= s->out_len;
			s->out = body;
			s->out_len = body_len;
			s->writes_body = 0;
		}
	}
	if (s->state == BODY)
		s->body_end = now();
}

static void
session_say(struct session *s, enum state next, const char *text, size_t len)
{
	s->state = next;
	s->out = text;
	s->out_len = len;
	s->out_at = 0;
	session_write(s);
}

static void
say_line(struct session *s, enum state next, const char *verb, const char *arg,
    const char *end)
{
	int n = snprintf(s->line, sizeof(s->line), "%s%s%s\r\n", verb, arg, end);

	session_say(s, next, s->line, (size_t)n);
}

/* The recipient of the message in hand; the pattern is not a printf format. */
static void
say_rcpt(struct session *s)
{
	const char *mark = strstr(opt.recipient, "%d");
	char to[400];

	if (mark == NULL)
		snprintf(to, sizeof(to), "%s", opt.recipient);
	else
		snprintf(to, sizeof(to), "%.*s%lu%s", (int)(mark - opt.recipient),
		    opt.recipient, s->number % opt.users, mark + 2);
	say_line(s, RCPT, "RCPT TO:<", to, ">");
}

static void
say_body(struct session *s)
{
	int n = snprintf(s->head, sizeof(s->head),
	    "From: <%.120s>\r\nTo: undisclosed-recipients:;\r\nSubject: load %lu\r\n"
	    "Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: "
	    "<%lu.%ld@bench.test>\r\n\r\n",
	    opt.sender, s->number, s->number, pid);

	s->writes_body = 1;
	session_say(s, BODY, s->head, (size_t)n);
}

static void
next_message(struct session *s)
{
	if (!more_to_send() ||
	    (opt.per_connection != 0 && s->sent >= opt.per_connection)) {
		say_line(s, QUIT, "QUIT", "", "");
		return;
	}
	s->number = started++;
	s->sent++;
	say_line(s, MAIL, "MAIL FROM:<", opt.sender, ">");
}

static void
session_open(struct session *s)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = s };

	s->state = BANNER;
	s->out_len = s->out_at = 0;
	s->writes_body = 0;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd == -1)
		die("socket");
	if (connect(s->fd, (struct sockaddr *)&server, sizeof(server)) == -1 &&
	    errno != EINPROGRESS)
		die("connect");
	if (epoll_ctl(ep, EPOLL_CTL_ADD, s->fd, &ev) == -1)
		die("epoll_ctl");
}

/* A whole reply, its last line first in said. */
static void
on_reply(struct session *s, const char *said)
{
	static const char *const expected[] = { [BANNER] = "220",
		[EHLO] = "250",
		[MAIL] = "250",
		[RCPT] = "250",
		[DATA] = "354",
		[BODY] = "250",
		[QUIT] = "221" };

	if (strncmp(said, expected[s->state], 3) != 0) {
		session_fail(s, "unexpected reply", said);
		return;
	}
	switch (s->state) {
	case BANNER:
		say_line(s, EHLO, opt.lmtp ? "LHLO " : "EHLO ", "bench.test", "");
		break;
	case EHLO:
		next_message(s);
		break;
	case MAIL:
		say_rcpt(s);
		break;
	case RCPT:
		say_line(s, DATA, "DATA", "", "");
		break;
	case DATA:
		say_body(s);
		break;
	case BODY:
		t_last = now();
		latency_ms[accepted++] = (float)((t_last - s->body_end) * 1000);
		next_message(s);
		break;
	case QUIT:
		session_close(s);
		break;
	case ENDED:
		break;
	}
}

/* 1: there may be more. */
static int
session_read(struct session *s)
{
	size_t room = sizeof(s->in) - 1 - s->in_len;
	ssize_t n = recv(s->fd, s->in + s->in_len, room, 0);
	char *line, *end;

	if (n == -1 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		if (s->state == QUIT)
			session_close(s);
		else
			session_fail(
			    s, "read", n == 0 ? "closed by the server" : strerror(errno));
		return 0;
	}
	s->in_len += (size_t)n;
	s->in[s->in_len] = '\0';
	for (line = s->in; (end = strchr(line, '\n')) != NULL; line = end + 1)
		if (end - line >= 4 && line[3] != '-') {
			/* One reply at a time: nothing may follow it. */
			s->in_len = 0;
			on_reply(s, line);
			return 0;
		}
	s->in_len -= (size_t)(line - s->in);
	memmove(s->in, line, s->in_len);
	if (s->in_len == sizeof(s->in) - 1) {
		session_fail(s, "reply", "too long");
		return 0;
	}
	return (size_t)n == room;
}

static void
on_event(struct session *s, uint32_t events)
{
	if (s->state == ENDED)
		return;
	if ((events & EPOLLOUT) && (s->out_at < s->out_len || s->writes_body)) {
		int fd = s->fd;

		session_write(s);
		if (s->fd != fd || s->state == ENDED)
			return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		while (session_read(s))
			;
}

static unsigned long
count_files(void)
{
	unsigned long n = 0;

	for (int i = 0; i < opt.n_folders; i++) {
		DIR *d = opendir(opt.folders[i]);
		struct dirent *e;

		if (d == NULL)
			continue; /* made with the first delivery */
		while ((e = readdir(d)) != NULL)
			n += e->d_name[0] != '.';
		closedir(d);
	}
	return n;
}

static int
by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static double
percentile(int p)
{
	return accepted == 0
		   ? 0
		   : (double)latency_ms[(accepted - 1) * (unsigned long)p / 100];
}

static void
usage(void)
{
	fprintf(stderr, "usage: smtp_load -p port [-c sessions] [-n messages] [-m "
			"messages-a-connection]\n"
			"	[-s octets] [-f sender] [-t recipient] [-u users] [-d "
			"seconds] [-l limit]\n"
			"	[-L] [-w folder ...]\n");
	exit(2);
}

static void
options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "p:c:n:m:s:f:t:u:d:l:Lw")) != -1)
		switch (c) {
		case 'p':
			opt.port = (int)number(optarg, 65535);
			break;
		case 'c':
			opt.sessions = (unsigned int)number(optarg, SESSIONS_MAX);
			break;
		case 'n':
			opt.messages = number(optarg, MESSAGES_MAX);
			break;
		case 'm':
			opt.per_connection = number(optarg, MESSAGES_MAX);
			break;
		case 's':
			opt.size = number(optarg, SIZE_MAX_OCTETS);
			break;
		case 'f':
			opt.sender = optarg;
			break;
		case 't':
			opt.recipient = optarg;
			break;
		case 'u':
			opt.users = number(optarg, MESSAGES_MAX);
			break;
		case 'd':
			opt.seconds = (double)number(optarg, 600);
			opt.messages = MESSAGES_MAX;
			break;
		case 'l':
			opt.limit = (double)number(optarg, 600);
			break;
		case 'L':
			opt.lmtp = 1;
			break;
		case 'w':
			opt.n_folders = -1;
			break;
		default:
			usage();
		}
	if (opt.n_folders == -1) {
		opt.folders = argv + optind;
		opt.n_folders = argc - optind;
	} else if (optind != argc)
		usage();
	if (opt.port == 0 || opt.sessions == 0 || opt.users == 0)
		usage();
}

static void
run(double end)
{
	struct epoll_event ev[64];

	live = opt.sessions;
	t_start = t_last = now();
	for (unsigned int i = 0; i < opt.sessions; i++)
		session_open(&sessions[i]);
	while (live > 0 && now() < end) {
		int n = epoll_wait(ep, ev, 64, 200);

		for (int i = 0; i < n; i++)
			on_event(ev[i].data.ptr, ev[i].events);
	}
	if (live > 0) {
		fprintf(stderr, "smtp_load: %u sessions unfinished at the limit\n", live);
		errors += live;
	}
}

int
main(int argc, char **argv)
{
	struct timespec pause = { 0, WAIT_POLL_NS };
	unsigned long before, delivered = 0;
	struct rusage ru;
	double end, t_delivered = 0;

	options(argc, argv);
	pid = (long)getpid();
	server.sin_family = AF_INET;
	server.sin_port = htons((uint16_t)opt.port);
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK); /* never another host */
	make_body(opt.size);
	latency_ms = calloc(opt.messages + 1, sizeof(*latency_ms));
	if (latency_ms == NULL || (ep = epoll_create1(EPOLL_CLOEXEC)) == -1)
		die("start");
	before = count_files();
	end = now() + opt.limit;
	run(end);
	while (opt.n_folders > 0) {
		unsigned long n = count_files() - before;

		if (n != delivered || t_delivered == 0) {
			delivered = n;
			t_delivered = now();
		}
		if (n >= accepted || now() >= end)
			break;
		nanosleep(&pause, NULL);
	}
	if (opt.n_folders > 0 && delivered != accepted) {
		fprintf(stderr, "smtp_load: %lu accepted, %lu delivered\n", accepted,
		    delivered);
		errors +=
		    accepted > delivered ? accepted - delivered : delivered - accepted;
	}
	qsort(latency_ms, accepted, sizeof(*latency_ms), by_value);
	getrusage(RUSAGE_SELF, &ru);
	printf("messages=%lu errors=%lu seconds=%.3f rate=%.1f p50_ms=%.2f p99_ms=%.2f "
	       "driver_cpu_s=%.2f",
	    accepted, errors, t_last - t_start,
	    t_last > t_start ? (double)accepted / (t_last - t_start) : 0, percentile(50),
	    percentile(99),
	    (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
		(double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
	if (opt.n_folders > 0)
		printf(" delivered=%lu delivered_rate=%.1f", delivered,
		    (double)delivered / (t_delivered - t_start));
	printf("\n");
	return errors == 0 ? 0 : 1;
}
