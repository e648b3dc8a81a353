/* SPDX-License-Identifier: ISC */
/*
 * A load of IMAP and POP3 clients on one server of this host, for imap.py, which passes
 * what is to be done:
 *
 *	login, pop	-n times connect, log in, log out, over -c connections at a time
 *	retr		one POP3 session that fetches -n messages
 *	append		-n messages of -s octets over -c connections, each of its own user
 *	cmd		one session: SELECT, then each of the -x commands
 *	idle		-c connections in IDLE until the end of standard input
 *	notice		-n deliveries to -P (SMTP, or LMTP with -L), each until a
 *connection in IDLE is told
 *
 * Users are made of -F, which holds one %d, from -f on, -u of them. One line a result, of
 * words name=value; what goes wrong is counted and told on standard error.
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX 64
#define CONNECTIONS_MAX 4000
#define INPUT 262144
#define SMALL_INPUT 4096
#define TIMEOUT_S 120
#define BOX "INBOX"

struct peer {
	int fd;
	SSL *ssl;
	char *in;
	size_t cap, at, end;
	uint64_t octets; /* that came */
};

static struct {
	int port, other_port, connections, users, first;
	long n;
	size_t size;
	bool tls, lmtp;
	const char *format, *password;
	const char *x[COMMANDS_MAX];
	int n_x;
} o = { .connections = 1, .users = 1, .n = 1, .size = 4096, .password = "secret" };

static SSL_CTX *ctx;
static atomic_long next, errors, done;
static double *latency;
static pthread_barrier_t begin;

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
user_name(char *out, size_t cap, long i)
{
	int k = o.first + (int)(i % o.users);
	const char *d = strstr(o.format, "%d");

	if (d == NULL)
		snprintf(out, cap, "%s", o.format);
	else
		snprintf(out, cap, "%.*s%d%s", (int)(d - o.format), o.format, k, d + 2);
}

/* ---- octets ---- */

static void
peer_close(struct peer *p)
{
	if (p->ssl != NULL) {
		SSL_shutdown(p->ssl);
		SSL_free(p->ssl);
	}
	if (p->fd != -1)
		close(p->fd);
	free(p->in);
	memset(p, 0, sizeof(*p));
	p->fd = -1;
}

static int
peer_open(struct peer *p, int port, bool tls, size_t cap)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval tv = { TIMEOUT_S, 0 };
	int on = 1;

	memset(p, 0, sizeof(*p));
	p->cap = cap;
	p->in = malloc(cap);
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->in == NULL || p->fd == -1)
		return -1;
	setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(p->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(p->fd, (struct sockaddr *)&to, sizeof(to)) == -1)
		return -1;
	if (!tls)
		return 0;
	if ((p->ssl = SSL_new(ctx)) == NULL || SSL_set_fd(p->ssl, p->fd) != 1 ||
	    SSL_connect(p->ssl) != 1)
		return -1;
	return 0;
}

static int
send_all(struct peer *p, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = p->ssl != NULL ? SSL_write(p->ssl, data, (int)len)
					   : send(p->fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
more(struct peer *p)
{
	ssize_t n;

	if (p->at == p->end)
		p->at = p->end = 0;
	else if (p->end == p->cap) {
		if (p->at == 0)
			return -1; /* a line longer than the buffer */
		memmove(p->in, p->in + p->at, p->end - p->at);
		p->end -= p->at;
		p->at = 0;
	}
	n = p->ssl != NULL ? SSL_read(p->ssl, p->in + p->end, (int)(p->cap - p->end))
			   : recv(p->fd, p->in + p->end, p->cap - p->end, 0);
	if (n <= 0)
		return -1;
	p->end += (size_t)n;
	p->octets += (uint64_t)n;
	return 0;
}

/* A line without its end; valid until the next call. */
static char *
get_line(struct peer *p, size_t *len)
{
	size_t seen = 0;

	for (;;) {
		char *from = p->in + p->at;
		char *nl = memchr(from + seen, '\n', p->end - p->at - seen);

		if (nl != NULL) {
			p->at = (size_t)(nl + 1 - p->in);
			*len = (size_t)(nl - from);
			if (*len > 0 && from[*len - 1] == '\r')
				(*len)--;
			from[*len] = '\0';
			return from;
		}
		seen = p->end - p->at;
		if (more(p) == -1)
			return NULL;
	}
}

static int
skip(struct peer *p, size_t n)
{
	for (;;) {
		size_t have = p->end - p->at < n ? p->end - p->at : n;

		p->at += have;
		n -= have;
		if (n == 0)
			return 0;
		if (more(p) == -1)
			return -1;
	}
}

/* ---- protocols ---- */

/* The octets of a literal that a line announces at its end, or -1. */
static long
literal(const char *line, size_t len)
{
	const char *open;

	if (len < 3 || line[len - 1] != '}')
		return -1;
	for (open = line + len - 2; open > line && *open >= '0' && *open <= '9'; open--)
		;
	return *open == '{' ? strtol(open + 1, NULL, 10) : -1;
}

/* Up to the answer that has the tag, or a request to go on. 0: OK. */
static int
imap_answer(struct peer *p, const char *tag, long *lines)
{
	size_t tag_len = strlen(tag), len;
	bool inside = false;
	char *line;
	long n;

	while ((line = get_line(p, &len)) != NULL) {
		n = literal(line, len);
		if (!inside && *line == '+' && *tag == '+')
			return 0;
		if (!inside && len > tag_len && memcmp(line, tag, tag_len) == 0 &&
		    line[tag_len] == ' ') {
			if (strncmp(line + tag_len + 1, "OK", 2) == 0)
				return 0;
			fprintf(stderr, "mail_load: %s\n", line);
			return -1;
		}
		if (!inside && lines != NULL)
			++*lines;
		inside = n >= 0;
		if (inside && skip(p, (size_t)n) == -1)
			return -1;
	}
	fprintf(stderr, "mail_load: no answer: %s\n", strerror(errno));
	return -1;
}

static int __attribute__((format(printf, 2, 3))) say(struct peer *p, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		return -1;
	return send_all(p, text, (size_t)n);
}

static int
imap_login(struct peer *p, long user, size_t cap)
{
	char name[256];
	size_t len;

	user_name(name, sizeof(name), user);
	if (peer_open(p, o.port, o.tls, cap) == -1 || get_line(p, &len) == NULL ||
	    say(p, "a LOGIN %s %s\r\n", name, o.password) == -1)
		return -1;
	return imap_answer(p, "a", NULL);
}

static int
pop_answer(struct peer *p)
{
	size_t len;
	char *line = get_line(p, &len);

	if (line == NULL)
		return -1;
	if (*line == '+')
		return 0;
	fprintf(stderr, "mail_load: %s\n", line);
	return -1;
}

static int
pop_login(struct peer *p, long user, size_t cap)
{
	char name[256];

	user_name(name, sizeof(name), user);
	if (peer_open(p, o.port, o.tls, cap) == -1 || pop_answer(p) == -1 ||
	    say(p, "USER %s\r\n", name) == -1 || pop_answer(p) == -1 ||
	    say(p, "PASS %s\r\n", o.password) == -1)
		return -1;
	return pop_answer(p);
}

static void
failed(const char *what)
{
	if (errors++ < 5)
		fprintf(stderr, "mail_load: %s failed\n", what);
}

/* ---- work of several connections ---- */

static void *
log_in_and_out(void *arg)
{
	bool pop = arg != NULL;
	long i;

	pthread_barrier_wait(&begin);
	while ((i = next++) < o.n) {
		double from = now();
		struct peer p;
		int r;

		if (pop)
			r = pop_login(&p, i, SMALL_INPUT) == -1 ||
			    say(&p, "QUIT\r\n") == -1 || pop_answer(&p) == -1;
		else
			r = imap_login(&p, i, SMALL_INPUT) == -1 ||
			    say(&p, "b LOGOUT\r\n") == -1 ||
			    imap_answer(&p, "b", NULL) == -1;
		peer_close(&p);
		if (r)
			failed("a login");
		else
			latency[done++] = now() - from;
	}
	return NULL;
}

static char *
make_message(size_t size)
{
	char *m = malloc(size + 1);
	size_t n;

	if (m == NULL)
		exit(1);
	n = (size_t)snprintf(m, size,
	    "From: Bench <bench@example.test>\r\nTo: you@example.test\r\n"
	    "Subject: one of many\r\nDate: Mon, 6 Oct 2025 10:00:00 +0000\r\n"
	    "Message-ID: <%lld.%d@bench.test>\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n\r\n",
	    (long long)(now() * 1e9), (int)getpid());
	while (n < size) {
		size_t line = size - n < 72 ? size - n : 72;

		memset(m + n, 'a' + (int)(n % 23), line);
		if (line >= 2)
			memcpy(m + n + line - 2, "\r\n", 2);
		n += line;
	}
	m[size] = '\0';
	return m;
}

static void *
append_some(void *arg)
{
	char *m = make_message(o.size);
	struct peer p;
	int r = imap_login(&p, (long)(intptr_t)arg, SMALL_INPUT);

	pthread_barrier_wait(&begin);
	while (r == 0 && next++ < o.n) {
		double from = now();

		if (say(&p, "b APPEND " BOX " {%zu}\r\n", o.size) == -1 ||
		    imap_answer(&p, "+", NULL) == -1 || send_all(&p, m, o.size) == -1 ||
		    send_all(&p, "\r\n", 2) == -1 || imap_answer(&p, "b", NULL) == -1)
			r = -1;
		else
			latency[done++] = now() - from;
	}
	if (r == -1)
		failed("an append");
	peer_close(&p);
	free(m);
	return NULL;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void
tell(double seconds)
{
	struct rusage ru;
	long n = done;

	getrusage(RUSAGE_SELF, &ru);
	qsort(latency, (size_t)n, sizeof(*latency), by_value);
	printf("done=%ld errors=%ld seconds=%.4f rate=%.1f p50_ms=%.3f p99_ms=%.3f "
	       "driver_cpu_s=%.3f\n",
	    n, (long)errors, seconds, seconds > 0 ? (double)n / seconds : 0,
	    n > 0 ? latency[n / 2] * 1e3 : 0, n > 0 ? latency[n * 99 / 100] * 1e3 : 0,
	    (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
		(double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
}

static void
in_parallel(void *(*work)(void *), void *arg, bool numbered)
{
	pthread_t threads[CONNECTIONS_MAX];
	double from;

	pthread_barrier_init(&begin, NULL, (unsigned int)o.connections + 1);
	for (int i = 0; i < o.connections; i++)
		if (pthread_create(&threads[i], NULL, work,
			numbered ? (void *)(intptr_t)i : arg) != 0) {
			fprintf(stderr, "mail_load: no thread\n");
			exit(1);
		}
	pthread_barrier_wait(&begin);
	from = now();
	for (int i = 0; i < o.connections; i++)
		pthread_join(threads[i], NULL);
	tell(now() - from);
}

/* ---- work of one ---- */

static int
retrieve(void)
{
	struct peer p;
	double from;
	char *line;
	size_t len;

	if (pop_login(&p, 0, INPUT) == -1)
		return -1;
	from = now();
	for (long i = 1; i <= o.n; i++) {
		if (say(&p, "RETR %ld\r\n", i) == -1 || pop_answer(&p) == -1)
			return -1;
		while ((line = get_line(&p, &len)) != NULL && !(len == 1 && *line == '.'))
			;
		if (line == NULL)
			return -1;
		latency[done++] = 0;
	}
	tell(now() - from);
	peer_close(&p);
	return 0;
}

static int
commands(void)
{
	struct peer p;

	if (imap_login(&p, 0, INPUT) == -1)
		return -1;
	for (int i = 0; i < o.n_x; i++) {
		uint64_t before = p.octets;
		double from = now();
		long lines = 0;

		if (say(&p, "b %s\r\n", o.x[i]) == -1 ||
		    imap_answer(&p, "b", &lines) == -1)
			return -1;
		printf("seconds=%.6f octets=%llu lines=%ld\n", now() - from,
		    (unsigned long long)(p.octets - before), lines);
	}
	peer_close(&p);
	return 0;
}

static struct peer held[CONNECTIONS_MAX];

static int
idle_begin(struct peer *p, long user)
{
	if (imap_login(p, user, SMALL_INPUT) == -1 ||
	    say(p, "b SELECT " BOX "\r\n") == -1 || imap_answer(p, "b", NULL) == -1 ||
	    say(p, "c IDLE\r\n") == -1)
		return -1;
	return imap_answer(p, "+", NULL);
}

static void *
idle_some(void *arg __attribute__((unused)))
{
	long i;

	while ((i = next++) < o.n)
		if (idle_begin(&held[i], i) == -1)
			failed("an IDLE");
	return NULL;
}

static int
idle_hold(void)
{
	pthread_t threads[8];
	double from = now();
	char octet;

	o.n = o.connections;
	for (size_t i = 0; i < 8; i++)
		if (pthread_create(&threads[i], NULL, idle_some, NULL) != 0)
			return -1;
	for (size_t i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	printf("ready=%ld errors=%ld seconds=%.3f\n", o.n - errors, (long)errors,
	    now() - from);
	fflush(stdout);
	while (read(0, &octet, 1) > 0)
		;
	/* All of them still answer. */
	for (long i = 0; i < o.n; i++)
		if (held[i].fd != -1 && held[i].in != NULL &&
		    (say(&held[i], "DONE\r\n") == -1 ||
			imap_answer(&held[i], "c", NULL) == -1))
			failed("DONE");
	printf("ended=%ld errors=%ld\n", o.n, (long)errors);
	return 0;
}

/* A reply of SMTP, which must begin with that digit. */
static int
smtp_reply(struct peer *p, char digit)
{
	char *line;
	size_t len;

	while ((line = get_line(p, &len)) != NULL && len > 3 && line[3] == '-')
		;
	if (line != NULL && *line == digit)
		return 0;
	fprintf(stderr, "mail_load: %s\n", line == NULL ? "no reply" : line);
	return -1;
}

static int
notice(void)
{
	char name[256], *m = make_message(o.size), *line;
	double *from_250 = calloc((size_t)o.n, sizeof(double)), sent, taken;
	struct peer idle, smtp;
	size_t len;

	if (from_250 == NULL || idle_begin(&idle, 0) == -1 ||
	    peer_open(&smtp, o.other_port, false, SMALL_INPUT) == -1 ||
	    smtp_reply(&smtp, '2') == -1 ||
	    say(&smtp, "%s bench.test\r\n", o.lmtp ? "LHLO" : "EHLO") == -1 ||
	    smtp_reply(&smtp, '2') == -1)
		return -1;
	user_name(name, sizeof(name), 0);
	for (long i = 0; i < o.n; i++) {
		struct timespec pause = { 0, 20000000 };

		nanosleep(&pause, NULL); /* one is done with before the next */
		if (say(&smtp, "MAIL FROM:<bench@example.test>\r\n") == -1 ||
		    smtp_reply(&smtp, '2') == -1 ||
		    say(&smtp, "RCPT TO:<%s>\r\n", name) == -1 ||
		    smtp_reply(&smtp, '2') == -1 || say(&smtp, "DATA\r\n") == -1 ||
		    smtp_reply(&smtp, '3') == -1 || send_all(&smtp, m, o.size) == -1)
			return -1;
		sent = now();
		if (say(&smtp, ".\r\n") == -1 || smtp_reply(&smtp, '2') == -1)
			return -1;
		taken = now();
		while ((line = get_line(&idle, &len)) != NULL &&
		       strstr(line, " EXISTS") == NULL)
			;
		if (line == NULL)
			return -1;
		latency[done++] = now() - sent;
		from_250[i] = now() - taken;
	}
	qsort(from_250, (size_t)o.n, sizeof(double), by_value);
	printf("after_250_p50_ms=%.3f ", from_250[o.n / 2] * 1e3);
	tell(0);
	peer_close(&idle);
	peer_close(&smtp);
	free(from_250);
	free(m);
	return 0;
}

static void
usage(void)
{
	fprintf(stderr,
	    "usage: mail_load login|pop|retr|append|cmd|idle|notice -p port -F user%%d\n"
	    "    [-tL] [-w password] [-f first] [-u users] [-n times] [-c connections]\n"
	    "    [-s octets] [-P port] [-x command]...\n");
	exit(2);
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int c, r = 0;

	if (argc < 2)
		usage();
	optind = 2;
	while ((c = getopt(argc, argv, "p:P:F:tLw:f:u:n:c:s:x:")) != -1)
		switch (c) {
		case 'p':
			o.port = (int)strtol(optarg, NULL, 10);
			break;
		case 'P':
			o.other_port = (int)strtol(optarg, NULL, 10);
			break;
		case 'F':
			o.format = optarg;
			break;
		case 't':
			o.tls = true;
			break;
		case 'L':
			o.lmtp = true;
			break;
		case 'w':
			o.password = optarg;
			break;
		case 'f':
			o.first = (int)strtol(optarg, NULL, 10);
			break;
		case 'u':
			o.users = (int)strtol(optarg, NULL, 10);
			break;
		case 'n':
			o.n = strtol(optarg, NULL, 10);
			break;
		case 'c':
			o.connections = (int)strtol(optarg, NULL, 10);
			break;
		case 's':
			o.size = (size_t)strtol(optarg, NULL, 10);
			break;
		case 'x':
			if (o.n_x == COMMANDS_MAX)
				usage();
			o.x[o.n_x++] = optarg;
			break;
		default:
			usage();
		}
	if (o.port <= 0 || o.port > 65535 || o.format == NULL || o.users < 1 || o.n < 1 ||
	    o.size < 512 || o.connections < 1 || o.connections > CONNECTIONS_MAX)
		usage();
	if (o.tls) {
		if ((ctx = SSL_CTX_new(TLS_client_method())) == NULL)
			return 1;
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	}
	if ((latency = calloc((size_t)o.n + CONNECTIONS_MAX, sizeof(*latency))) == NULL)
		return 1;
	if (strcmp(what, "login") == 0)
		in_parallel(log_in_and_out, NULL, false);
	else if (strcmp(what, "pop") == 0)
		in_parallel(log_in_and_out, &o, false);
	else if (strcmp(what, "append") == 0)
		in_parallel(append_some, NULL, true);
	else if (strcmp(what, "retr") == 0)
		r = retrieve();
	else if (strcmp(what, "cmd") == 0)
		r = commands();
	else if (strcmp(what, "idle") == 0)
		r = idle_hold();
	else if (strcmp(what, "notice") == 0)
		r = notice();
	else
		usage();
	return r == 0 && errors == 0 ? 0 : 1;
}
