/* SPDX-License-Identifier: ISC */
/* The daemon's side of fifectl(8): words in, rows of facts out; see ctl.h. */
#include "common/ctl.h"

#include <sys/queue.h>
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/log.h"

#define CLIENTS_MAX 32
#define VALUE_MAX 8192
#define FIELDS_MAX 15000
#define FULL_AT (256 * 1024)
#define ROOM_POLL_MS 10

struct ctl {
	LIST_ENTRY(ctl) entry;
	struct ctl_server *server;
	struct channel *ch;
	uint64_t id; /* of the command that runs; 0: none */
	char *words; /* NUL-separated, what argv points into */
	char *argv[CTL_ARGS_MAX + 1];
	char *secret;
	int fd;
	struct ibuf *row;
	enum ctl_form form;
	void (*gone)(struct ctl *, void *);
	void *gone_arg;
	void (*room)(struct ctl *, void *);
	void *room_arg;
	struct event *ev_room;
	int finished;
};

struct ctl_server {
	struct event_base *base;
	int fd;
	struct event *ev;
	enum role self;
	const struct ctl_command *commands;
	LIST_HEAD(, ctl) clients;
	size_t n_clients;
};

static void
command_clear(struct ctl *c)
{
	free(c->words);
	c->words = NULL;
	if (c->secret != NULL) {
		explicit_bzero(c->secret, strlen(c->secret));
		free(c->secret);
		c->secret = NULL;
	}
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	if (c->row != NULL)
		ibuf_free(c->row);
	c->row = NULL;
	if (c->ev_room != NULL)
		event_free(c->ev_room);
	c->ev_room = NULL;
	c->gone = NULL;
	c->room = NULL;
	c->id = 0;
}

static void
client_free(struct ctl *c)
{
	command_clear(c);
	LIST_REMOVE(c, entry);
	c->server->n_clients--;
	free(c);
}

static void
on_lost(struct channel *ch, const char *why, void *arg)
{
	struct ctl *c = arg;

	if (c->id != 0 && c->gone != NULL)
		c->gone(c, c->gone_arg);
	client_free(c);
}

/* How many words of the command match the row; 0 for none. */
static int
words_match(const char *words, int argc, char **argv)
{
	int n = 0;

	while (*words != '\0') {
		size_t len = strcspn(words, " ");

		if (n >= argc || strlen(argv[n]) != len ||
		    strncmp(argv[n], words, len) != 0)
			return 0;
		n++;
		words += len + (words[len] == ' ');
	}
	return n;
}

/* Names the second words that there are for the first one. */
static void
unknown_command(struct ctl *c, int argc)
{
	const char *first = argc > 0 ? c->argv[0] : "";
	char names[256] = "";
	size_t len = strlen(first);

	for (const struct ctl_command *cmd = c->server->commands; cmd->words != NULL;
	     cmd++) {
		if (len == 0 || strncmp(cmd->words, first, len) != 0 ||
		    cmd->words[len] != ' ')
			continue;
		if (names[0] != '\0')
			strlcat(names, ", ", sizeof(names));
		strlcat(names, cmd->words + len + 1, sizeof(names));
	}
	if (names[0] == '\0')
		ctl_done(c, CTL_USAGE, "%s: no such command at %s", first,
		    role_name(c->server->self));
	else
		ctl_done(c, CTL_USAGE, "%s%s%s: expected one of %s", first,
		    argc > 1 ? " " : "", argc > 1 ? c->argv[1] : "", names);
}

static void
run(struct ctl *c, int argc)
{
	const struct ctl_command *best = NULL;
	int best_n = 0;

	for (const struct ctl_command *cmd = c->server->commands; cmd->words != NULL;
	     cmd++) {
		int n = words_match(cmd->words, argc, c->argv);

		if (n > best_n) {
			best_n = n;
			best = cmd;
		}
	}
	if (best == NULL) {
		unknown_command(c, argc);
		return;
	}
	argc -= best_n;
	if (argc < best->min_args || (best->max_args >= 0 && argc > best->max_args)) {
		ctl_done(c, CTL_USAGE, "%s: %s arguments", best->words,
		    argc < best->min_args ? "too few" : "too many");
		return;
	}
	best->run(c, argc, c->argv + best_n);
}

static void
on_message(struct channel *ch, struct msg *m, void *arg)
{
	struct ctl *c = arg;
	const struct msg_command *cmd = &m->p.command;
	int argc = 0;

	if (m->type != MSG_FIFECTL_ANY_COMMAND || c->id != 0 || m->id == 0) {
		channel_break(ch, "second command");
		return;
	}
	if ((c->words = calloc(1, cmd->words_len + 1)) == NULL) {
		channel_break(ch, "no memory");
		return;
	}
	memcpy(c->words, cmd->words, cmd->words_len);
	c->id = m->id;
	c->fd = msg_take_fd(m);
	if (cmd->secret_len > 0) {
		if ((c->secret = calloc(1, cmd->secret_len + 1)) == NULL) {
			channel_break(ch, "no memory");
			return;
		}
		memcpy(c->secret, cmd->secret, cmd->secret_len);
	}
	for (size_t i = 0; i < cmd->words_len; i += strlen(c->words + i) + 1) {
		if (argc == CTL_ARGS_MAX) {
			ctl_done(c, CTL_USAGE, "too many words");
			return;
		}
		c->argv[argc++] = c->words + i;
	}
	c->argv[argc] = NULL;
	run(c, argc);
}

static void
on_accept(evutil_socket_t listen_fd, short what, void *arg)
{
	struct ctl_server *s = arg;
	struct ctl *c;
	uid_t uid = (uid_t)-1;
	gid_t gid;
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd == -1)
		return;
	if (compat_peer_uid(fd, &uid, &gid) == -1 || uid != 0) {
		log_warnx("control socket: refused uid %u", (unsigned int)uid);
		close(fd);
		return;
	}
	if (s->n_clients >= CLIENTS_MAX || (c = calloc(1, sizeof(*c))) == NULL) {
		close(fd);
		return;
	}
	c->server = s;
	c->fd = -1;
	c->ch =
	    channel_new(s->base, fd, s->self, 0, ROLE_FIFECTL, on_message, on_lost, c);
	if (c->ch == NULL) {
		free(c);
		return;
	}
	LIST_INSERT_HEAD(&s->clients, c, entry);
	s->n_clients++;
}

struct ctl_server *
ctl_server_new(struct event_base *base, int listen_fd, enum role self,
    const struct ctl_command *commands)
{
	struct ctl_server *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		close(listen_fd);
		return NULL;
	}
	s->base = base;
	s->fd = listen_fd;
	s->self = self;
	s->commands = commands;
	LIST_INIT(&s->clients);
	evutil_make_socket_nonblocking(listen_fd);
	s->ev = event_new(base, listen_fd, EV_READ | EV_PERSIST, on_accept, s);
	if (s->ev == NULL || event_add(s->ev, NULL) == -1) {
		ctl_server_free(s);
		return NULL;
	}
	return s;
}

void
ctl_server_free(struct ctl_server *s)
{
	struct ctl *c;

	if (s == NULL)
		return;
	while ((c = LIST_FIRST(&s->clients)) != NULL) {
		if (c->id != 0 && c->gone != NULL)
			c->gone(c, c->gone_arg);
		channel_free(c->ch);
		client_free(c);
	}
	if (s->ev != NULL)
		event_free(s->ev);
	close(s->fd);
	free(s);
}

void
ctl_row(struct ctl *c, enum ctl_form form)
{
	if (c->row != NULL)
		ibuf_free(c->row);
	c->row = ibuf_dynamic(256, FIELDS_MAX);
	c->form = form;
}

/* A row that has outgrown its bound just lacks its last fields. */
static int
field(struct ctl *c, char kind, const char *key, size_t room)
{
	size_t len = strlen(key);

	if (c->row == NULL || len > 255 ||
	    ibuf_size(c->row) + len + room + 4 > FIELDS_MAX)
		return -1;
	if (ibuf_add_n8(c->row, (uint8_t)kind) == -1 || ibuf_add_n8(c->row, len) == -1)
		return -1;
	return ibuf_add(c->row, key, len);
}

void
ctl_str(struct ctl *c, const char *key, const char *value)
{
	size_t len = strnlen(value, VALUE_MAX);

	if (field(c, 's', key, len + 2) == -1)
		return;
	(void)ibuf_add_n16(c->row, len);
	(void)ibuf_add(c->row, value, len);
}

void
ctl_u64(struct ctl *c, const char *key, uint64_t value)
{
	if (field(c, 'u', key, 8) == 0)
		(void)ibuf_add_n64(c->row, value);
}

void
ctl_bool(struct ctl *c, const char *key, int value)
{
	if (field(c, 'b', key, 8) == 0)
		(void)ibuf_add_n64(c->row, value != 0);
}

void
ctl_time(struct ctl *c, const char *key, int64_t value)
{
	if (field(c, 't', key, 8) == 0)
		(void)ibuf_add_n64(c->row, (uint64_t)value);
}

void
ctl_row_end(struct ctl *c)
{
	struct msg_row row = { .form = (uint8_t)c->form };

	if (c->row == NULL)
		return;
	row.fields = ibuf_data(c->row);
	row.fields_len = ibuf_size(c->row);
	(void)channel_send(c->ch, MSG_ANY_FIFECTL_ROW, c->id, &row, -1);
	ibuf_free(c->row);
	c->row = NULL;
}

void
ctl_text(struct ctl *c, const char *fmt, ...)
{
	char text[VALUE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ctl_row(c, CTL_TEXT);
	ctl_str(c, "text", text);
	ctl_row_end(c);
}

void
ctl_done(struct ctl *c, int status, const char *fmt, ...)
{
	struct msg_done done = { .status = (uint8_t)status };
	va_list ap;

	if (fmt != NULL) {
		va_start(ap, fmt);
		vsnprintf(done.text, sizeof(done.text), fmt, ap);
		va_end(ap);
	}
	(void)channel_send(c->ch, MSG_ANY_FIFECTL_DONE, c->id, &done, -1);
	command_clear(c);
}

const char *
ctl_secret(struct ctl *c)
{
	return c->secret;
}

int
ctl_take_fd(struct ctl *c)
{
	int fd = c->fd;

	c->fd = -1;
	return fd;
}

void
ctl_on_gone(struct ctl *c, void (*cb)(struct ctl *, void *), void *arg)
{
	c->gone = cb;
	c->gone_arg = arg;
}

int
ctl_full(struct ctl *c)
{
	return channel_queued(c->ch) > FULL_AT;
}

static void
on_room(evutil_socket_t fd, short what, void *arg)
{
	struct ctl *c = arg;
	struct timeval tv = { 0, ROOM_POLL_MS * 1000 };
	void (*cb)(struct ctl *, void *) = c->room;

	if (ctl_full(c)) {
		event_add(c->ev_room, &tv);
		return;
	}
	c->room = NULL;
	if (cb != NULL)
		cb(c, c->room_arg);
}

void
ctl_on_room(struct ctl *c, void (*cb)(struct ctl *, void *), void *arg)
{
	struct timeval tv = { 0, ROOM_POLL_MS * 1000 };

	c->room = cb;
	c->room_arg = arg;
	if (c->ev_room == NULL)
		c->ev_room = event_new(c->server->base, -1, 0, on_room, c);
	if (c->ev_room != NULL)
		event_add(c->ev_room, &tv);
}

int
ctl_field_next(struct ibuf *b, char *keybuf, size_t keycap, char *kind, const char **str,
    size_t *len, uint64_t *num)
{
	struct ibuf part;
	uint8_t k, keylen;
	uint16_t n;

	if (ibuf_size(b) == 0)
		return 0;
	if (ibuf_get_n8(b, &k) == -1 || ibuf_get_n8(b, &keylen) == -1 ||
	    keylen >= keycap || ibuf_get(b, keybuf, keylen) == -1)
		return -1;
	keybuf[keylen] = '\0';
	*kind = (char)k;
	*str = NULL;
	*len = 0;
	*num = 0;
	if (k != 's')
		return (k == 'u' || k == 'b' || k == 't') && ibuf_get_n64(b, num) == 0
			   ? 1
			   : -1;
	if (ibuf_get_n16(b, &n) == -1 || ibuf_get_ibuf(b, n, &part) == -1)
		return -1;
	*str = ibuf_data(&part);
	*len = n;
	return 1;
}
