/* SPDX-License-Identifier: ISC */
/* Commands that one daemon answers: to whom they go, and what goes along. */
#include "fifectl/command.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/conf/conf.h"

#define WORDS_MAX 12000
#define FOREVER_MS UINT32_MAX

#define WITH_SECRET 1
#define WITH_STDIN 2
#define STREAM_IN 4  /* standard input, piece by piece */
#define STREAM_OUT 8 /* standard output is the daemon's; facts go beside it */

static const struct route {
	const char *first;
	const char *second; /* NULL: any */
	const char *daemon; /* NULL: here */
	int flags;
	int (*run)(struct context *, int, char **);
} routes[] = {
	{ "status", NULL, NULL, 0, status_run },
	{ "check", NULL, NULL, 0, check_run },
	{ "setup", NULL, NULL, 0, setup_run },
	{ "dns", NULL, NULL, 0, dns_run },
	{ "reload", NULL, "fifed", 0, NULL },
	{ "stop", NULL, "fifed", 0, NULL },
	{ "user", "add", "authd", WITH_SECRET, NULL },
	{ "user", "passwd", "authd", WITH_SECRET, NULL },
	{ "user", NULL, "authd", 0, NULL },
	{ "domain", NULL, "authd", 0, NULL },
	{ "group", NULL, "authd", 0, NULL },
	{ "alias", NULL, "authd", 0, NULL },
	{ "list", "held", "listd", 0, NULL },
	{ "list", "approve", "listd", 0, NULL },
	{ "list", "reject", "listd", 0, NULL },
	{ "list", "discard", "listd", 0, NULL },
	{ "list", "import", "authd", WITH_STDIN, NULL },
	{ "list", NULL, "authd", 0, NULL },
	{ "route", NULL, "authd", 0, NULL },
	{ "access", NULL, "authd", 0, NULL },
	{ "dump", NULL, "authd", 0, NULL },
	{ "load", NULL, "authd", WITH_STDIN, NULL },
	{ "secret", "add", "keyd", WITH_SECRET, NULL },
	{ "secret", NULL, "keyd", 0, NULL },
	{ "queue", NULL, "queued", 0, NULL },
	{ "resolver", NULL, "dnsd", 0, NULL },
	{ "policy", NULL, "policyd", 0, NULL },
	{ "tlsrpt", NULL, "policyd", 0, NULL },
	{ "command", NULL, "execd", 0, NULL },
	{ "log", NULL, "logd", 0, NULL },
	{ "why", NULL, "logd", 0, NULL },
	{ "sieve", "put", "deliverd-local", WITH_STDIN, NULL },
	{ "sieve", "check", "deliverd-local", WITH_STDIN, NULL },
	{ "sieve", NULL, "deliverd-local", 0, NULL },
	{ "mailbox", "import", "mboxd", STREAM_IN, NULL },
	{ "mailbox", "export", "mboxd", STREAM_OUT, NULL },
	{ "mailbox", NULL, "mboxd", 0, NULL },
	{ "filter", "learn", "filterd", WITH_STDIN, NULL },
	{ "filter", "test", "filterd", WITH_STDIN, NULL },
	{ "filter", NULL, "filterd", 0, NULL },
};

int
command_enter_state(const struct context *cx)
{
	char state[CONF_PATH_MAX + 1], err[1400];
	struct conf *c = conf_load(cx->conf_path, err, sizeof(err));
	int r;

	if (c != NULL) {
		r = conf_path(c, c->state, state, sizeof(state));
		conf_free(c);
	} else
		r = conf_find_state(cx->conf_path, state, sizeof(state));
	if (r == -1) {
		fprintf(stderr, "fifectl: %s\n", err);
		return CTL_REFUSED;
	}
	if (chdir(state) == 0)
		return CTL_OK;
	fprintf(stderr, "fifectl: %s: %s\n", state,
	    errno == ENOENT ? "no fife has run here yet" : strerror(errno));
	return errno == ENOENT ? CTL_TEMPFAIL : CTL_REFUSED;
}

/* Words of the suite's vocabulary that no daemon answers yet. */
static const struct {
	const char *first;
	const char *second; /* NULL: any */
} later[] = {
	{ "backup", NULL },
	{ "restore", NULL },
	{ "filter", "learn" },
	{ "filter", "test" },
};

static int
is_later(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
		if (strcmp(later[i].first, argv[0]) == 0 &&
		    (later[i].second == NULL ||
			(argc > 1 && strcmp(later[i].second, argv[1]) == 0)))
			return 1;
	return 0;
}

static const struct route *
find_route(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (strcmp(routes[i].first, argv[0]) == 0 &&
		    (routes[i].second == NULL ||
			(argc > 1 && strcmp(routes[i].second, argv[1]) == 0)))
			return &routes[i];
	return NULL;
}

static int
join(int argc, char **argv, char *words, size_t cap, size_t *len)
{
	*len = 0;
	for (int i = 0; i < argc; i++) {
		size_t n = strlen(argv[i]) + 1;

		if (n > cap - *len)
			return -1;
		memcpy(words + *len, argv[i], n);
		*len += n;
	}
	return 0;
}

struct output {
	struct render *render;
	struct event *idle; /* shows a table that has no next row for a while */
	int rows;
};

static void
on_idle(evutil_socket_t fd, short what, void *arg)
{
	(void)render_flush(((struct output *)arg)->render);
}

static int
on_row(enum ctl_form form, const struct client_field *f, size_t n, void *arg)
{
	struct output *o = arg;
	struct timeval tv = { 0, 100000 };

	render_row(o->render, NULL, form, f, n);
	o->rows++;
	if (o->idle != NULL)
		event_add(o->idle, &tv);
	return ferror(stdout);
}

/* What queued knows now about what logd has told of the past. */
static void
why_now(struct context *cx, struct output *o, const char *id, struct client_answer *a)
{
	struct client_answer now;
	char *argv[] = { (char *)"queue", (char *)"show", (char *)id };
	char words[512];
	struct client_request q = {
		.name = "queued", .words = words, .fd = -1, .timeout_ms = 5000
	};
	int before = o->rows;

	if (strchr(id, '@') != NULL ||
	    join(3, argv, words, sizeof(words), &q.words_len) == -1)
		return;
	client_run(cx->base, &q, on_row, o, &now);
	if (now.status == CTL_OK && o->rows > before) {
		a->status = CTL_OK;
		a->text[0] = '\0';
	}
}

/* Another form of the password is made from the password. */
static int
sets_scram(int argc, char **argv)
{
	if (argc < 4 || strcmp(argv[0], "user") != 0 || strcmp(argv[1], "set") != 0)
		return 0;
	for (int i = 3; i < argc; i++)
		if (strncmp(argv[i], "scram=", 6) == 0)
			return 1;
	return 0;
}

/* `user cert add ADDRESS NAME` without a fingerprint reads a certificate. */
static int
reads_certificate(int argc, char **argv)
{
	return argc == 5 && strcmp(argv[0], "user") == 0 &&
	       strcmp(argv[1], "cert") == 0 && strcmp(argv[2], "add") == 0;
}

/* `mailbox import ADDRESS --dovecot PATH`: the path is ours to read, and is taken out of
 * the words. NULL: no such words. */
static const char *
dovecot_path(int *argc, char **argv)
{
	const char *path = NULL;

	for (int i = 2; i + 1 < *argc; i++)
		if (strcmp(argv[i], "--dovecot") == 0 && path == NULL) {
			path = argv[i + 1];
			for (int j = i + 1; j + 1 < *argc; j++)
				argv[j] = argv[j + 1];
			(*argc)--;
		}
	return path;
}

static int
ask_daemon(struct context *cx, const struct route *route, int argc, char **argv)
{
	struct client_request q = {
		.name = route->daemon, .fd = -1, .timeout_ms = FOREVER_MS
	};
	struct output o = { NULL, NULL, 0 };
	struct client_answer a = { .status = CTL_TEMPFAIL };
	struct stream stream = { .pid = -1 };
	int out = route->flags & STREAM_OUT, maildir = -1;
	const char *path = route->flags & STREAM_IN ? dovecot_path(&argc, argv) : NULL;
	char words[WORDS_MAX], secret[1024] = "";
	int r;

	if (join(argc, argv, words, sizeof(words), &q.words_len) == -1) {
		fprintf(stderr, "fifectl: the command is too long\n");
		return CTL_USAGE;
	}
	q.words = words;
	if (path != NULL && (maildir = dovecot_open(path)) == -1)
		return CTL_REFUSED;
	if ((r = command_enter_state(cx)) != CTL_OK)
		return r;
	if (((route->flags & WITH_SECRET) && argc > 2 &&
		strcmp(argv[argc - 1], "token-file") != 0) ||
	    sets_scram(argc, argv)) {
		if (secret_read(
			strcmp(route->first, "secret") == 0 ? "secret" : "password",
			secret, sizeof(secret)) == -1)
			return CTL_USAGE;
		q.secret = secret;
	}
	if (((route->flags & WITH_STDIN) || reads_certificate(argc, argv)) &&
	    (q.fd = spool_input(STDIN_FILENO)) == -1) {
		fprintf(stderr, "fifectl: standard input: %s\n", strerror(errno));
		return CTL_REFUSED;
	}
	if ((route->flags & (STREAM_IN | STREAM_OUT)) &&
	    (q.fd = maildir != -1 ? stream_start_source(&stream, dovecot_source, &maildir)
				  : stream_start(&stream, !!out)) == -1) {
		fprintf(stderr, "fifectl: %s\n", strerror(errno));
		return CTL_TEMPFAIL;
	}
	if ((o.render = render_new(out ? stderr : stdout, cx->json)) == NULL) {
		fprintf(stderr, "fifectl: no memory\n");
		exit(CTL_TEMPFAIL);
	}
	o.idle = event_new(cx->base, -1, 0, on_idle, &o);
	client_run(cx->base, &q, on_row, &o, &a);
	explicit_bzero(secret, sizeof(secret));
	if (strcmp(route->first, "why") == 0 && argc > 1)
		why_now(cx, &o, argv[1], &a);
	if (o.idle != NULL)
		event_free(o.idle);
	render_free(o.render);
	if (stream_end(&stream) == -1 && a.status == CTL_OK) {
		a.status = CTL_REFUSED;
		strlcpy(a.text,
		    out            ? "standard output cannot be written to its end"
		    : path != NULL ? "the Maildir was not read to its end"
				   : "standard input cannot be read to its end",
		    sizeof(a.text));
	}
	if (a.text[0] != '\0')
		fprintf(stderr, "fifectl: %s\n", a.text);
	return ferror(stdout) ? CTL_REFUSED : a.status;
}

int
command_run(struct context *cx, int argc, char **argv)
{
	const struct route *r = find_route(argc, argv);

	if (argc > 2 && strcmp(argv[0], "queue") == 0 && strcmp(argv[1], "verify") == 0 &&
	    strcmp(argv[2], "--offline") == 0)
		return offline_run(cx, argc, argv);

	if (is_later(argc, argv)) {
		fprintf(stderr,
		    "fifectl: %s%s%s: this version of fife does not have it yet\n",
		    argv[0], argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
		return CTL_REFUSED;
	}
	if (r == NULL) {
		fprintf(
		    stderr, "fifectl: %s: unknown command; see fifectl help\n", argv[0]);
		return CTL_USAGE;
	}
	return r->run != NULL ? r->run(cx, argc, argv) : ask_daemon(cx, r, argc, argv);
}
