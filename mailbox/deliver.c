/* SPDX-License-Identifier: ISC */
/* A session of deliverd-local: messages in descriptors, put into INBOX or Junk. */
#include <fcntl.h>

#include "common/channel.h"
#include "common/compat/compat.h"
#include "common/file.h"
#include "common/log.h"
#include "mailbox/filter.h"
#include "mailbox/scripts.h"
#include "mailbox/session.h"
#include "mailbox/session_channel.h"
#include "mailbox/store.h"

struct session {
	struct session_channel c;
	uint64_t id; /* of the question that is being answered */
};

static void
outcome(struct store *store, enum store_error error, const struct msg_deliver *d,
    struct msg_delivered *out)
{
	uint64_t quota = store_quota(store);
	const char *enhanced = "4.3.0";

	out->status = MSG_TEMP;
	switch (error) {
	case STORE_OK:
		out->status = MSG_OK;
		enhanced = "2.0.0";
		break;
	case STORE_FULL:
		/* Waiting helps only where the message could ever fit. */
		out->status = MSG_FULL;
		enhanced = session_quota_hard() ||
				   (quota != 0 && d->size + d->prefix_len > quota)
			       ? "5.2.2"
			       : "4.2.2";
		break;
	case STORE_NO_SPACE:
		enhanced = "4.3.1";
		break;
	case STORE_LIMIT:
		enhanced = "4.2.4";
		break;
	default:
		break;
	}
	(void)strlcpy(out->enhanced, enhanced, sizeof(out->enhanced));
	if (error != STORE_OK)
		(void)strlcpy(out->text, store_error_text(error), sizeof(out->text));
}

/* Something that a script sends goes out before the answer. */
static int
send_outlet(const struct msg_outlet *o, int fd, void *arg)
{
	struct session *s = arg;

	return channel_send(s->c.ch, MSG_MAILBOX_LDELIVER_OUTLET, s->id, o, fd);
}

static void
on_deliver(struct session *s, struct msg *m)
{
	const struct msg_deliver *p = &m->p.deliver;
	struct filter_owner owner = { s->c.address, session_hostname() };
	struct msg_delivered out = { 0 };
	struct delivery d = { 0 };
	char posted[STORE_NAME_MAX + 1];
	const char *folder = "INBOX";
	enum store_error error;
	int again = 0;

	s->id = m->id;
	if (filter_deliver(s->c.store, &owner, p, m->fd, send_outlet, s, &out, &error)) {
		if (error != STORE_OK)
			outcome(s->c.store, error, p, &out);
	} else {
		d.queue_id = p->queue_id;
		d.rcpt = p->rcpt;
		d.size = p->size;
		d.crc = p->crc;
		d.oldest_live = p->oldest_live;
		if (p->junk)
			folder = "Junk";
		else if (store_post_folder(s->c.store, p->recipient, posted))
			folder = posted;
		error = store_deliver(
		    s->c.store, folder, &d, p->prefix, p->prefix_len, m->fd, 0, &again);
		outcome(s->c.store, error, p, &out);
		out.again = (uint8_t)again;
		out.kept = error == STORE_OK;
	}
	if (channel_send(s->c.ch, MSG_MAILBOX_LDELIVER_DELIVERED, m->id, &out, -1) == -1)
		channel_break(s->c.ch, "its queue is full");
}

/* ---- scripts, for fifectl ---- */

static void
list_scripts(struct session *s, uint64_t id, struct msg_script_done *done)
{
	struct script_info *v = NULL;
	size_t n = 0;
	enum script_error e = scripts_list(s->c.store, &v, &n);

	for (size_t i = 0; i < n; i++) {
		struct msg_script_row row = { .active = (uint8_t)v[i].active,
			.size = v[i].size,
			.changed = v[i].changed };

		strlcpy(row.name, v[i].name, sizeof(row.name));
		(void)channel_send(
		    s->c.ch, MSG_MAILBOX_LDELIVER_SCRIPT_ROW, id, &row, -1);
	}
	free(v);
	if (e != SCRIPT_OK) {
		done->status = MSG_TEMP;
		strlcpy(done->text, script_error_text(e), sizeof(done->text));
	}
}

/* The text in a descriptor; free()d by the caller, or NULL. */
static char *
read_text(int fd, uint64_t size)
{
	char *text;

	if (fd == -1 || size > SIEVE_SCRIPT_MAX ||
	    (text = malloc((size_t)size + 1)) == NULL)
		return NULL;
	if (file_read_at(fd, text, (size_t)size, 0) == -1) {
		free(text);
		return NULL;
	}
	text[size] = '\0';
	return text;
}

static int
text_file(struct session *s, const char *text, size_t len)
{
	int dir = store_index_dir(s->c.store),
	    fd = openat(dir, "outlet", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd == -1)
		return -1;
	(void)unlinkat(dir, "outlet", 0);
	if (write(fd, text, len) != (ssize_t)len) {
		close(fd);
		return -1;
	}
	return fd;
}

static enum script_error
script_verb(struct session *s, struct msg *m, struct msg_script_done *done, int *fd)
{
	const struct msg_script *p = &m->p.script;
	struct sieve_errors errors = { 0 };
	enum script_error e = SCRIPT_IO;
	char *text = NULL;
	size_t len = 0;

	switch (p->verb) {
	case SCRIPT_GET:
		e = script_get(s->c.store, p->name, &text, &len);
		done->size = len;
		if (e == SCRIPT_OK && (*fd = text_file(s, text, len)) == -1)
			e = SCRIPT_IO;
		break;
	case SCRIPT_PUT:
	case SCRIPT_CHECK:
		if ((text = read_text(m->fd, p->size)) == NULL)
			return p->size > SIEVE_SCRIPT_MAX ? SCRIPT_TOO_LARGE : SCRIPT_IO;
		e = p->verb == SCRIPT_PUT
			? script_put(s->c.store, p->name, text, (size_t)p->size, &errors)
			: script_check(s->c.store, text, (size_t)p->size, &errors);
		script_errors_print(&errors, done->text, sizeof(done->text));
		break;
	case SCRIPT_DELETE:
		e = script_delete(s->c.store, p->name);
		break;
	case SCRIPT_RENAME:
		e = script_rename(s->c.store, p->name, p->new_name);
		break;
	case SCRIPT_ACTIVATE:
		e = script_activate(s->c.store, p->name);
		break;
	default:
		break;
	}
	free(text);
	return e;
}

static void
on_script(struct session *s, struct msg *m)
{
	struct msg_script_done done = { .status = MSG_OK };
	enum script_error e;
	int fd = -1;

	if (m->p.script.verb == SCRIPT_LIST)
		list_scripts(s, m->id, &done);
	else if ((e = script_verb(s, m, &done, &fd)) != SCRIPT_OK) {
		done.status = e == SCRIPT_IO          ? MSG_TEMP
			      : e == SCRIPT_NOT_FOUND ? MSG_UNKNOWN
						      : MSG_PERM;
		if (done.text[0] == '\0')
			strlcpy(done.text, script_error_text(e), sizeof(done.text));
	}
	if (channel_send(s->c.ch, MSG_MAILBOX_LDELIVER_SCRIPT_DONE, m->id, &done, fd) ==
	    -1)
		channel_break(s->c.ch, "its queue is full");
}

static void
on_message(struct channel *ch, struct msg *m, void *arg)
{
	if (m->type == MSG_LDELIVER_MAILBOX_DELIVER)
		on_deliver(arg, m);
	else if (m->type == MSG_LDELIVER_MAILBOX_SCRIPT)
		on_script(arg, m);
}

int
deliver_session_start(struct event_base *base, int fd, struct store *store,
    const struct msg_mbox_label *label, void (*ended)(void *), void *arg)
{
	return session_channel_new(sizeof(struct session), base, fd, ROLE_DELIVERD_LOCAL,
		   store, label, on_message, NULL, ended, arg) == NULL
		   ? -1
		   : 0;
}
