/* SPDX-License-Identifier: ISC */
/* Octets between a client and a mailbox process; see relay.h. */
#include "common/front/relay.h"

#include <sys/socket.h>

#include <event2/buffer.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CLOSE_MS 5000
#define BACK_MAX (1024 * 1024)
/* A client that closed only its sending half ("printf ... | nc") still gets its replies,
 * up to the end of the mailbox's side, or until a pause of this length. */
#define HALF_CLOSED_MS 3000

struct side {
	struct relay *relay;
	struct conn *conn;
	struct side *other;
	uint64_t octets; /* read here */
	bool paused;
	bool line_start; /* what was sent to this side ended a line */
};

struct relay {
	struct side client, mailbox;
	bool client_eof;
	bool told;             /* the mailbox process knows of it */
	struct evbuffer *back; /* what the mailbox sends back since its mark, or NULL */
	uint32_t idle_ms;
	const char *idle_text;
	void (*ended)(enum relay_end, void *);
	void *arg;
};

static void
say(struct relay *r, const char *text)
{
	if (text[0] != '\0' && r->client.line_start)
		conn_write(r->client.conn, text, strlen(text));
}

static void
finish(struct relay *r, enum relay_end end)
{
	void (*ended)(enum relay_end, void *) = r->ended;
	void *arg = r->arg;

	if (end == RELAY_BACK) {
		conn_free(r->mailbox.conn);
		(void)evbuffer_prepend_buffer(conn_input(r->client.conn), r->back);
		conn_resume(r->client.conn);
	} else if (end == RELAY_CLIENT) {
		conn_free(r->client.conn);
		/* The mailbox may still have to take in what the client sent before it
		 * left. */
		conn_close(r->mailbox.conn, CLOSE_MS);
	} else {
		conn_free(r->mailbox.conn);
		conn_close(r->client.conn, CLOSE_MS);
	}
	if (r->back != NULL)
		evbuffer_free(r->back);
	free(r);
	ended(end, arg);
}

/* All that has come goes on, and reading rests while the other side is slow. */
static void
forward(struct side *from)
{
	struct evbuffer *in = conn_input(from->conn);
	struct side *to = from->other;
	size_t len = evbuffer_get_length(in);

	if (len > 0 && conn_unsent(to->conn) < RELAY_HIGH_WATER) {
		struct evbuffer_ptr last;
		char c = '\n';

		if (evbuffer_ptr_set(in, &last, len - 1, EVBUFFER_PTR_SET) == 0)
			evbuffer_copyout_from(in, &last, &c, 1);
		to->line_start = c == '\n';
		from->octets += len;
		conn_write_buffer(to->conn, in);
	}
	if (conn_unsent(to->conn) >= RELAY_HIGH_WATER) {
		if (!from->paused)
			conn_pause(from->conn);
		from->paused = true;
	} else if (from->paused) {
		from->paused = false;
		conn_resume(from->conn);
	}
}

/* The client says no more: once the mailbox process has all of it, it need not wait. */
static void
pass_eof(struct relay *r)
{
	if (!r->client_eof || r->told || conn_unsent(r->mailbox.conn) > 0 ||
	    evbuffer_get_length(conn_input(r->client.conn)) > 0)
		return;
	r->told = true;
	(void)shutdown(conn_fd(r->mailbox.conn), SHUT_WR);
}

/* The mailbox has seen what there is when it sees our end. */
static void
end_to_mailbox(struct relay *r)
{
	if (conn_unsent(r->mailbox.conn) == 0)
		(void)shutdown(conn_fd(r->mailbox.conn), SHUT_WR);
}

static void
mark(struct relay *r)
{
	forward(&r->mailbox);
	if ((r->back = evbuffer_new()) == NULL) {
		finish(r, RELAY_MAILBOX);
		return;
	}
	conn_pause(r->client.conn);
	end_to_mailbox(r);
}

/* Events after the mark. */
static void
event_back(struct relay *r, bool of_client, enum conn_event ev)
{
	struct evbuffer *in = conn_input(r->mailbox.conn);

	switch (ev) {
	case CONN_LOW_WATER:
		if (!of_client)
			end_to_mailbox(r);
		break;
	case CONN_INPUT:
	case CONN_EOF:
		if (of_client) {
			r->client_eof |= ev == CONN_EOF;
			break;
		}
		evbuffer_add_buffer(r->back, in);
		if (evbuffer_get_length(r->back) > BACK_MAX)
			finish(r, RELAY_MAILBOX);
		else if (ev == CONN_EOF)
			finish(r, r->client_eof ? RELAY_MAILBOX : RELAY_BACK);
		break;
	case CONN_ERROR:
		finish(r, of_client ? RELAY_CLIENT : RELAY_MAILBOX);
		break;
	case CONN_TIMEOUT:
		finish(r, RELAY_IDLE);
		break;
	default:
		break;
	}
}

static void
event(struct conn *c, enum conn_event ev, void *arg)
{
	struct side *s = arg;
	struct relay *r = s->relay;
	enum relay_end end = s == &r->client ? RELAY_CLIENT : RELAY_MAILBOX;

	if (r->back != NULL) {
		event_back(r, s == &r->client, ev);
		return;
	}
	switch (ev) {
	case CONN_MARK:
		mark(r);
		break;
	case CONN_INPUT:
		if (r->client_eof)
			conn_deadline(r->client.conn, HALF_CLOSED_MS);
		else if (s == &r->client)
			conn_deadline(c, r->idle_ms);
		forward(s);
		break;
	case CONN_LOW_WATER:
		forward(s->other);
		pass_eof(r);
		break;
	case CONN_EOF:
		forward(s);
		/* No more than the input's bound is left. */
		if (evbuffer_get_length(conn_input(s->conn)) > 0)
			conn_write_buffer(s->other->conn, conn_input(s->conn));
		if (s == &r->client)
			relay_client_eof(r);
		else
			finish(r, end);
		break;
	case CONN_ERROR:
		finish(r, end);
		break;
	case CONN_TIMEOUT:
		if (r->client_eof) {
			finish(r, RELAY_CLIENT);
			break;
		}
		say(r, r->idle_text);
		finish(r, RELAY_IDLE);
		break;
	default:
		break;
	}
}

struct relay *
relay_new(struct conn *client, struct conn *mailbox, uint32_t idle_ms,
    const char *idle_text, void (*ended)(enum relay_end, void *), void *arg)
{
	struct relay *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		conn_free(client);
		conn_free(mailbox);
		return NULL;
	}
	r->client = (struct side){ r, client, &r->mailbox, 0, false, true };
	r->mailbox = (struct side){ r, mailbox, &r->client, 0, false, true };
	r->idle_ms = idle_ms;
	r->idle_text = idle_text;
	r->ended = ended;
	r->arg = arg;
	conn_set_callback(client, event, &r->client);
	conn_set_callback(mailbox, event, &r->mailbox);
	conn_deadline(client, idle_ms);
	forward(&r->client); /* what was pipelined after the login */
	return r;
}

void
relay_expect_back(struct relay *r)
{
	conn_expect_mark(r->mailbox.conn);
}

void
relay_client_eof(struct relay *r)
{
	r->client_eof = true;
	conn_deadline(r->client.conn, HALF_CLOSED_MS);
	pass_eof(r);
}

void
relay_stop(struct relay *r, const char *text)
{
	if (r == NULL)
		return;
	say(r, text);
	conn_free(r->mailbox.conn);
	conn_close(r->client.conn, CLOSE_MS);
	if (r->back != NULL)
		evbuffer_free(r->back);
	free(r);
}

uint64_t
relay_octets_in(const struct relay *r)
{
	return r->client.octets;
}

uint64_t
relay_octets_out(const struct relay *r)
{
	return r->mailbox.octets;
}
