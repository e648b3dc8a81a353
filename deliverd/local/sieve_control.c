/* SPDX-License-Identifier: ISC */
/* fifectl sieve; see sieve_control.h. The address is resolved first, as for a delivery.
 */
#include "deliverd/local/sieve_control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "deliverd/local/targets.h"

#define TEXT_MAX (1024 * 1024)

struct question {
	struct ctl *c; /* NULL: fifectl is gone */
	struct msg_script script;
	int fd;
	struct resolution *resolution;
	struct parcel *parcel;
	int answered; /* ctl_done() was called */
};

static mailboxes_peer peer;

void
sieve_control_init(mailboxes_peer by_role)
{
	peer = by_role;
}

static void
question_free(struct question *q)
{
	targets_cancel(q->resolution);
	if (q->fd != -1)
		close(q->fd);
	free(q);
}

static void
on_gone(struct ctl *c, void *arg)
{
	struct question *q = arg;

	q->c = NULL;
	if (q->parcel != NULL)
		mailboxes_cancel(q->parcel);
	question_free(q);
}

/* Long texts go in rows of whole lines. */
static void
print_text(struct ctl *c, int fd, uint64_t size)
{
	char *text = size <= TEXT_MAX ? malloc((size_t)size + 1) : NULL, *p, *line;
	ssize_t n = text != NULL ? pread(fd, text, (size_t)size, 0) : -1;

	if (n < 0) {
		free(text);
		return;
	}
	text[n] = '\0';
	p = text;
	while ((line = strsep(&p, "\n")) != NULL) {
		size_t len = strlen(line);

		if (p == NULL && len == 0)
			break;
		if (len > 0 && line[len - 1] == '\r')
			line[len - 1] = '\0';
		ctl_text(c, "%s", line);
	}
	free(text);
}

static void
on_answer(struct msg *m, void *arg)
{
	struct question *q = arg;

	if (m->type == MSG_MAILBOX_LDELIVER_SCRIPT_ROW) {
		const struct msg_script_row *row = &m->p.script_row;

		ctl_row(q->c, CTL_TABLE);
		ctl_str(q->c, "name", row->name);
		ctl_bool(q->c, "active", row->active);
		ctl_u64(q->c, "size", row->size);
		ctl_time(q->c, "changed", row->changed);
		ctl_row_end(q->c);
		return;
	}
	if (m->p.script_done.status == MSG_OK && q->script.verb == SCRIPT_GET &&
	    m->fd != -1)
		print_text(q->c, m->fd, m->p.script_done.size);
	q->answered = 1;
	/* Warnings, one a line. */
	if (m->p.script_done.status == MSG_OK && m->p.script_done.text[0] != '\0') {
		char *p = m->p.script_done.text, *line;

		while ((line = strsep(&p, "\n")) != NULL)
			if (*line != '\0') {
				line[strcspn(line, "\r")] = '\0';
				ctl_text(q->c, "%s", line);
			}
		m->p.script_done.text[0] = '\0';
	}
	for (char *p = m->p.script_done.text; *p != '\0'; p++)
		if (*p == '\r')
			*p = p[1] == '\n' && p[2] == '\0' ? '\0' : ' ';
	ctl_done(q->c,
	    m->p.script_done.status == MSG_OK     ? CTL_OK
	    : m->p.script_done.status == MSG_TEMP ? CTL_TEMPFAIL
						  : CTL_REFUSED,
	    m->p.script_done.status == MSG_OK ? NULL : "%s", m->p.script_done.text);
}

static void
on_done(const struct outcome *o, void *arg)
{
	struct question *q = arg;

	q->parcel = NULL;
	if (!q->answered)
		ctl_done(q->c, CTL_TEMPFAIL, "%s", o->text);
	question_free(q);
}

static void
on_resolved(struct targets *t, const struct outcome *o, void *arg)
{
	struct question *q = arg;
	const char *mailbox = NULL;
	int fd = q->fd, n = 0;

	q->resolution = NULL;
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].kind == TARGET_MAILBOX) {
			mailbox = t->v[i].mailbox;
			n++;
		}
	if (n != 1) {
		ctl_done(q->c, CTL_REFUSED, "%s",
		    o->status != JOB_DELIVERED ? o->text
		    : n == 0                   ? "no mailbox of this host belongs to it"
					       : "it stands for several mailboxes");
		targets_clear(t);
		question_free(q);
		return;
	}
	q->fd = -1;
	q->parcel = mailboxes_script(mailbox, &q->script, fd, on_answer, on_done, q);
	targets_clear(t);
	if (q->parcel != NULL)
		return;
	ctl_done(q->c, CTL_TEMPFAIL, "no memory");
	question_free(q);
}

static void
ask(struct ctl *c, enum script_verb verb, const char *address, const char *name,
    const char *new_name)
{
	struct channel *authd = peer(ROLE_AUTHD);
	struct question *q = calloc(1, sizeof(*q));
	struct stat st;

	if (q == NULL) {
		ctl_done(c, CTL_TEMPFAIL, "no memory");
		return;
	}
	q->c = c;
	q->fd = -1;
	q->script.verb = (uint8_t)verb;
	if (strlcpy(q->script.name, name, sizeof(q->script.name)) >=
		sizeof(q->script.name) ||
	    strlcpy(q->script.new_name, new_name, sizeof(q->script.new_name)) >=
		sizeof(q->script.new_name)) {
		ctl_done(c, CTL_USAGE, "the name is too long");
		question_free(q);
		return;
	}
	if (verb == SCRIPT_PUT || verb == SCRIPT_CHECK) {
		q->fd = ctl_take_fd(c);
		if (q->fd == -1 || fstat(q->fd, &st) == -1 || !S_ISREG(st.st_mode) ||
		    st.st_size > TEXT_MAX) {
			ctl_done(c, CTL_REFUSED,
			    "a script of at most 1 MiB is expected on standard input");
			question_free(q);
			return;
		}
		q->script.size = (uint64_t)st.st_size;
	}
	if (authd != NULL)
		q->resolution = targets_resolve(authd, address, on_resolved, q);
	if (q->resolution == NULL) {
		ctl_done(c, CTL_TEMPFAIL, "the directory of users cannot be asked now");
		question_free(q);
		return;
	}
	ctl_on_gone(c, on_gone, q);
}

void
sieve_control_list(struct ctl *c, int argc, char **argv)
{
	ask(c, SCRIPT_LIST, argv[0], "", "");
}

void
sieve_control_get(struct ctl *c, int argc, char **argv)
{
	ask(c, SCRIPT_GET, argv[0], argv[1], "");
}

void
sieve_control_put(struct ctl *c, int argc, char **argv)
{
	ask(c, SCRIPT_PUT, argv[0], argv[1], "");
}

void
sieve_control_check(struct ctl *c, int argc, char **argv)
{
	ask(c, SCRIPT_CHECK, argv[0], "", "");
}

void
sieve_control_del(struct ctl *c, int argc, char **argv)
{
	ask(c, SCRIPT_DELETE, argv[0], argv[1], "");
}

void
sieve_control_rename(struct ctl *c, int argc, char **argv)
{
	ask(c, SCRIPT_RENAME, argv[0], argv[1], argv[2]);
}

void
sieve_control_activate(struct ctl *c, int argc, char **argv)
{
	ask(c, SCRIPT_ACTIVATE, argv[0], argc > 1 ? argv[1] : "", "");
}
