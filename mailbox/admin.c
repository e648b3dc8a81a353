/* SPDX-License-Identifier: ISC */
/* A session of mboxd on root's word: one command on the mailbox; see admin.h. */
#include "mailbox/admin.h"

#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/compat/compat.h"
#include "common/log.h"
#include "mailbox/maildir.h"
#include "mailbox/session.h"
#include "mailbox/session_channel.h"

struct session {
	struct session_channel c;
	struct event_base *base;
	struct event *ev_go, *ev_fd;
	const struct task *task;
	void *work;
	uint64_t id;
	int fd;
	struct msg_mbox_admin_done result;
};

/* ---- for the tasks ---- */

enum task_state
task_failed(struct msg_mbox_admin_done *r, enum store_error error, const char *what)
{
	r->status = error == STORE_IO || error == STORE_NO_SPACE || error == STORE_GONE
			? MSG_TEMP
			: MSG_PERM;
	(void)snprintf(
	    r->text, sizeof(r->text), "%.400s: %s", what, store_error_text(error));
	return TASK_DONE;
}

enum task_state
task_refused(struct msg_mbox_admin_done *r, const char *fmt, ...)
{
	va_list ap;

	r->status = MSG_PERM;
	va_start(ap, fmt);
	(void)vsnprintf(r->text, sizeof(r->text), fmt, ap);
	va_end(ap);
	return TASK_DONE;
}

static int
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

int
task_glob(const char *p, const char *s)
{
	const char *star = NULL, *back = NULL;

	while (*s != '\0') {
		if (*p == '*') {
			star = p++;
			back = s;
		} else if (*p == '?' || lower(*p) == lower(*s)) {
			p++;
			s++;
		} else if (star != NULL) {
			p = star + 1;
			s = ++back;
		} else
			return 0;
	}
	while (*p == '*')
		p++;
	return *p == '\0';
}

enum store_error
task_folders(
    struct store *store, const char *pattern, struct folder_info **list, size_t *n)
{
	char canonical[STORE_NAME_MAX + 1];
	int wild = strpbrk(pattern, "*?") != NULL;
	enum store_error error;
	size_t all, k = 0;

	*list = NULL;
	*n = 0;
	if (!wild && pattern[0] != '\0') {
		if (maildir_folder_canonical(pattern, canonical, sizeof(canonical)) == -1)
			return STORE_BAD_NAME;
		pattern = canonical;
	}
	if ((error = store_list(store, list, &all)) != STORE_OK)
		return error;
	for (size_t i = 0; i < all; i++) {
		const struct folder_info *f = &(*list)[i];

		if ((f->flags & FOLDER_NOSELECT) ||
		    (pattern[0] != '\0' && (wild ? !task_glob(pattern, f->name)
						 : strcmp(pattern, f->name) != 0)))
			continue;
		if (k != i)
			(*list)[k] = *f;
		k++;
	}
	*n = k;
	return k == 0 && pattern[0] != '\0' ? STORE_NOT_FOUND : STORE_OK;
}

/* ---- the session ---- */

static void
session_clear(void *arg)
{
	struct session *s = arg;

	if (s->work != NULL)
		s->task->free(s->work);
	if (s->ev_go != NULL)
		event_free(s->ev_go);
	if (s->ev_fd != NULL)
		event_free(s->ev_fd);
	if (s->fd != -1)
		close(s->fd);
}

static void
on_go(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval now = { 0, 0 };
	static const char *const verbs[] = { "", "purge", "reindex", "export", "import" };
	struct session *s = arg;
	enum task_state state = TASK_DONE;

	if (s->task == NULL || s->work == NULL)
		return;
	state = s->task->step(s->work, &s->result);
	if (state == TASK_MORE) {
		event_add(s->ev_go, &now);
		return;
	}
	if (state == TASK_WAIT) {
		event_add(s->ev_fd, NULL);
		return;
	}
	s->task->free(s->work);
	s->work = NULL;
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
	log_fact(LOG_HOST, LOGL_INFO, "mailbox-admin", KS("address", s->c.address),
	    KS("command", s->task == &purge_task     ? verbs[MBOX_PURGE]
			  : s->task == &reindex_task ? verbs[MBOX_REINDEX]
			  : s->task == &export_task  ? verbs[MBOX_EXPORT]
						     : verbs[MBOX_IMPORT]),
	    KU("messages", s->result.messages), KU("octets", s->result.octets),
	    KS("failed", s->result.text));
	(void)channel_send(s->c.ch, MSG_MAILBOX_MBOXD_ADMIN_DONE, s->id, &s->result, -1);
}

static void
on_message(struct channel *ch, struct msg *m, void *arg)
{
	static const struct timeval now = { 0, 0 };
	struct session *s = arg;
	const struct msg_mbox_admin *a = &m->p.mbox_admin;

	if (m->type == MSG_MBOXD_MAILBOX_ACL && s->task == NULL) {
		acl_answer(ch, m->id, s->c.store, &m->p.acl);
		return;
	}
	if (m->type != MSG_MBOXD_MAILBOX_ADMIN || s->task != NULL) {
		channel_break(ch, "unexpected message");
		return;
	}
	s->id = m->id;
	s->fd = msg_take_fd(m);
	s->result.status = MSG_OK;
	s->task = a->verb == MBOX_PURGE     ? &purge_task
		  : a->verb == MBOX_REINDEX ? &reindex_task
		  : a->verb == MBOX_EXPORT  ? &export_task
		  : a->verb == MBOX_IMPORT  ? &import_task
					    : NULL;
	if (s->task == NULL ||
	    ((a->verb == MBOX_EXPORT || a->verb == MBOX_IMPORT) && s->fd == -1)) {
		channel_break(ch, "not a command");
		return;
	}
	s->ev_go = event_new(s->base, -1, 0, on_go, s);
	if (s->fd != -1) {
		evutil_make_socket_nonblocking(s->fd);
		s->ev_fd = event_new(s->base, s->fd,
		    a->verb == MBOX_EXPORT ? EV_WRITE : EV_READ, on_go, s);
	}
	s->work = s->task->new (s->c.store, a, s->fd);
	if (s->work == NULL || s->ev_go == NULL || (s->fd != -1 && s->ev_fd == NULL) ||
	    event_add(s->ev_go, &now) == -1)
		channel_break(ch, "no memory");
}

int
admin_session_start(struct event_base *base, int fd, struct store *store,
    const struct msg_mbox_label *label, void (*ended)(void *), void *arg)
{
	struct session *s = session_channel_new(sizeof(*s), base, fd, ROLE_MBOXD, store,
	    label, on_message, session_clear, ended, arg);

	if (s == NULL)
		return -1;
	s->base = base;
	s->fd = -1;
	return 0;
}
