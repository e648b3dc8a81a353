/* SPDX-License-Identifier: ISC */
/* fifectl's end of a control socket; see client.h and common/ctl.h. */
#include "fifectl/client.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/compat/compat.h"

struct run {
	struct event_base *base;
	client_row_cb row;
	void *arg;
	struct client_answer *answer;
	int finished;
	int lost;
	struct client_field fields[CLIENT_FIELDS_MAX];
};

static void
finish(struct run *r, int status, const char *text)
{
	if (r->finished)
		return;
	r->finished = 1;
	r->answer->status = status;
	strlcpy(r->answer->text, text, sizeof(r->answer->text));
	event_base_loopbreak(r->base);
}

static void
on_row(struct run *r, const struct msg_row *row)
{
	struct ibuf b;
	size_t n = 0;
	int more = 1;

	if (r->finished)
		return;
	ibuf_from_buffer(&b, (void *)(uintptr_t)row->fields, row->fields_len);
	while (n < CLIENT_FIELDS_MAX) {
		struct client_field *f = &r->fields[n];

		more = ctl_field_next(
		    &b, f->key, sizeof(f->key), &f->kind, &f->str, &f->len, &f->num);
		if (more != 1)
			break;
		n++;
	}
	if (more == -1)
		finish(r, CTL_TEMPFAIL, "malformed answer");
	else if (r->row((enum ctl_form)row->form, r->fields, n, r->arg) != 0)
		finish(r, CTL_REFUSED, "");
}

static void
on_answer(struct msg *m, void *arg)
{
	struct run *r = arg;

	if (m == NULL)
		finish(r, CTL_TEMPFAIL, "no answer");
	else if (m->type == MSG_ANY_FIFECTL_ROW)
		on_row(r, &m->p.row);
	else if (m->type == MSG_ANY_FIFECTL_DONE)
		finish(r, m->p.done.status, m->p.done.text);
	else
		finish(r, CTL_TEMPFAIL, "unexpected answer");
}

static void
on_message(struct channel *ch, struct msg *m, void *arg)
{
	channel_break(ch, "unexpected message");
}

static void
on_lost(struct channel *ch, const char *why, void *arg)
{
	struct run *r = arg;

	r->lost = 1;
	finish(r, CTL_TEMPFAIL,
	    strcmp(why, "closed") == 0 ? "went away without an answer" : why);
}

/* smtpd-1 is a process of smtpd. */
static enum role
role_of(const char *name)
{
	char role[64];
	char *dash;

	strlcpy(role, name, sizeof(role));
	dash = strrchr(role, '-');
	if (dash != NULL && dash[1] >= '0' && dash[1] <= '9')
		*dash = '\0';
	return role_by_name(role);
}

static int
connect_to(const char *name, struct client_answer *answer)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char cwd[1024];
	int fd, n;

	answer->status = CTL_TEMPFAIL;
	n = snprintf(sun.sun_path, sizeof(sun.sun_path), "ctl/%s", name);
	if (n < 0 || (size_t)n >= sizeof(sun.sun_path) ||
	    (fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1) {
		snprintf(
		    answer->text, sizeof(answer->text), "%s: %s", name, strerror(errno));
		return -1;
	}
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		strlcpy(cwd, "the state directory", sizeof(cwd));
	if (errno == ENOENT || errno == ECONNREFUSED)
		snprintf(answer->text, sizeof(answer->text), "no fife runs on %s", cwd);
	else if (errno == EACCES || errno == EPERM) {
		answer->status = CTL_REFUSED;
		snprintf(
		    answer->text, sizeof(answer->text), "only root may control fife");
	} else
		snprintf(answer->text, sizeof(answer->text), "%s/ctl/%s: %s", cwd, name,
		    strerror(errno));
	close(fd);
	return -1;
}

void
client_run(struct event_base *base, const struct client_request *q, client_row_cb row,
    void *arg, struct client_answer *answer)
{
	struct msg_command m = { 0 };
	struct channel *ch;
	struct run *r;
	int fd;

	memset(answer, 0, sizeof(*answer));
	if ((fd = connect_to(q->name, answer)) == -1) {
		if (q->fd != -1)
			close(q->fd);
		return;
	}
	answer->status = CTL_TEMPFAIL;
	strlcpy(answer->text, "no memory", sizeof(answer->text));
	if ((r = calloc(1, sizeof(*r))) == NULL) {
		close(fd);
		return;
	}
	r->base = base;
	r->row = row;
	r->arg = arg;
	r->answer = answer;
	ch = channel_new(
	    base, fd, ROLE_FIFECTL, 0, role_of(q->name), on_message, on_lost, r);
	if (ch == NULL)
		goto done;
	m.words = (const uint8_t *)q->words;
	m.words_len = q->words_len;
	if (q->secret != NULL) {
		m.secret = (const uint8_t *)q->secret;
		m.secret_len = strlen(q->secret);
	}
	if (channel_ask(ch, MSG_FIFECTL_ANY_COMMAND, &m, q->fd, q->timeout_ms, on_answer,
		r) == 0) {
		strlcpy(answer->text, "the command is too long", sizeof(answer->text));
		answer->status = CTL_USAGE;
	} else
		event_base_dispatch(base);
	/* A lost channel has freed itself. */
	if (!r->lost)
		channel_free(ch);
done:
	free(r);
}
