/* SPDX-License-Identifier: ISC */
/*
 * export: a folder or all of them to a descriptor, as mboxrd or as a tar of a Maildir++
 * tree. Messages that come or go meanwhile are there or not; memory is bounded, and a
 * slow reader is waited for.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/header.h"
#include "mailbox/acl.h"
#include "mailbox/admin.h"
#include "mailbox/mbox_format.h"
#include "mailbox/store_int.h"
#include "common/proto/tar_format.h"

#define PIECE (256 * 1024) /* of a message at a time */
#define STEP_OCTETS (1024 * 1024)

struct export
{
	struct store *store;
	struct msg_mbox_admin q;
	int fd;
	struct evbuffer *out;
	struct folder_info *list;
	size_t n, at;
	struct folder *folder;
	uint32_t uid;   /* of the message that is being written; 0: between messages */
	uint32_t next;  /* the first that is still to come */
	size_t offset;  /* in it */
	size_t content; /* its length, as its header says */
	struct mbox_writer writer;
	int listed, ended;
};

static void *
export_new(struct store *store, const struct msg_mbox_admin *q, int fd)
{
	struct export *x = calloc(1, sizeof(*x));

	if (x == NULL || (x->out = evbuffer_new()) == NULL) {
		free(x);
		return NULL;
	}
	x->store = store;
	x->q = *q;
	x->fd = fd;
	return x;
}

static void
export_free(void *work)
{
	struct export *x = work;

	folder_close(x->folder);
	evbuffer_free(x->out);
	free(x->list);
	free(x);
}

static int
is_mbox(const struct export *x)
{
	return x->q.options & MBOX_ADMIN_MBOX;
}

/* ---- tar ---- */

/* A name below the folder's directory; cap beyond all of them. */
static void
path_of(struct export *x, const char *name, char *out, size_t cap)
{
	char dir[MAILDIR_NAME_MAX + 1];

	if (maildir_folder_dir(x->folder->name, dir, sizeof(dir)) == -1)
		dir[0] = '\0';
	(void)snprintf(out, cap, "Maildir/%s%s%s", strcmp(dir, ".") == 0 ? "" : dir,
	    strcmp(dir, ".") == 0 || dir[0] == '\0' ? "" : "/", name);
}

static void
tar_entry(struct export *x, const char *name, uint64_t size, int64_t mtime, char type)
{
	char path[MAILDIR_NAME_MAX * 2 + 32];
	uint8_t header[TAR_HEADER_MAX];

	path_of(x, name, path, sizeof(path));
	evbuffer_add(x->out, header, tar_write_header(header, path, size, mtime, type));
}

static void
tar_pad(struct export *x, size_t size)
{
	static const uint8_t zeros[TAR_BLOCK];

	evbuffer_add(x->out, zeros, TAR_PAD(size));
}

/* Directories, the names of the keywords as Dovecot has them, and who else may what. */
static void
tar_folder(struct export *x)
{
	static const char *const dirs[] = { "cur/", "new/", "tmp/" };
	char text[26 * (STORE_KEYWORD_LEN_MAX + 8)];
	const struct acl *acl = store_acl(x->store, x->folder->name);
	size_t len = 0;
	char *list;

	for (size_t i = 0; i < 3; i++)
		tar_entry(x, dirs[i], 0, time(NULL), '5');
	for (int i = 0; i < 26 && folder_keyword(x->folder, i) != NULL; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%d %s\n", i,
		    folder_keyword(x->folder, i));
	if (len > 0) {
		tar_entry(x, "dovecot-keywords", len, time(NULL), '0');
		evbuffer_add(x->out, text, len);
		tar_pad(x, len);
	}
	if (acl != NULL && (list = acl_print(acl, &len)) != NULL) {
		tar_entry(x, "fife-acl", len, time(NULL), '0');
		evbuffer_add(x->out, list, len);
		tar_pad(x, len);
		free(list);
	}
	if (strcmp(x->folder->name, "INBOX") != 0)
		tar_entry(x, "maildirfolder", 0, time(NULL), '0');
}

static void
tar_message(struct export *x, const struct message *m)
{
	char old[MAILDIR_NAME_MAX + 1], name[MAILDIR_NAME_MAX + 1] = "", unique[128];
	char path[MAILDIR_NAME_MAX + 8];
	struct maildir_name p = { 0 }, now = { 0 };

	if (index_name(x->folder, m->uid, old) == 0) {
		maildir_name_parse(old, &p);
		if (p.unique_len > 0 && p.unique_len < sizeof(unique))
			(void)strlcpy(unique, old, p.unique_len + 1);
		else
			p.unique_len = 0;
	}
	if (p.unique_len == 0)
		maildir_unique(unique, sizeof(unique));
	now.has_uid = true;
	now.uid = m->uid;
	now.uidvalidity = folder_uidvalidity(x->folder);
	now.size = x->content;
	now.flags = m->flags;
	now.keywords = (uint32_t)(m->keywords & ((1u << 26) - 1));
	if (maildir_name_print(unique, strlen(unique), &now, name) == -1) {
		maildir_unique(unique, sizeof(unique));
		(void)maildir_name_print(unique, strlen(unique), &now, name);
	}
	(void)snprintf(path, sizeof(path), "cur/%s", name);
	tar_entry(x, path, x->content, m->internal, '0');
}

/* ---- mbox ---- */

static void
sender_of(const struct content *c, char *out, size_t cap)
{
	struct header_field f;
	size_t n = 0;

	if (header_get((const char *)c->data, c->len, "Return-Path", 0, &f) == 0)
		for (size_t i = 0; i < f.value_len && n + 1 < cap; i++)
			if ((unsigned char)f.value[i] > ' ' && f.value[i] != 127 &&
			    f.value[i] != '<' && f.value[i] != '>')
				out[n++] = f.value[i];
	out[n] = '\0';
	if (n == 0)
		(void)strlcpy(out, "MAILER-DAEMON", cap);
}

static void
mbox_message(struct export *x, const struct message *m, const struct content *c)
{
	char sender[256], keywords[MBOX_KEYWORDS_MAX] = "";
	const char *k;

	for (int i = folder_keywords_next(x->folder, m->keywords, -1); i != -1;
	     i = folder_keywords_next(x->folder, m->keywords, i)) {
		if ((k = folder_keyword(x->folder, i)) == NULL ||
		    strlen(keywords) + strlen(k) + 2 > sizeof(keywords))
			continue;
		if (keywords[0] != '\0')
			(void)strlcat(keywords, " ", sizeof(keywords));
		(void)strlcat(keywords, k, sizeof(keywords));
	}
	sender_of(c, sender, sizeof(sender));
	mbox_write_begin(&x->writer, x->out, sender, m->internal, m->flags, keywords,
	    c->data, c->len < 16 ? c->len : 16);
}

/* ---- steps ---- */

/* The next piece of a message. */
static enum store_error
piece(struct export *x, struct msg_mbox_admin_done *r)
{
	struct message m;
	struct content c;
	enum store_error error;
	int exact, again = x->uid != 0;
	size_t i = folder_find(x->folder, again ? x->uid : x->next, &exact), n;

	if (again && !exact)
		return STORE_GONE; /* half of it is written */
	if (i == folder_count(x->folder)) {
		folder_close(x->folder);
		x->folder = NULL;
		x->at++;
		return STORE_OK;
	}
	m = *folder_message(x->folder, i);
	error = folder_content(x->folder, m.uid, &c);
	if (error == STORE_GONE && !again) {
		x->next = m.uid + 1;
		return STORE_OK;
	}
	if (error != STORE_OK)
		return error;
	if (!again) {
		x->uid = m.uid;
		x->next = m.uid + 1;
		x->offset = 0;
		x->content = c.len;
		if (is_mbox(x))
			mbox_message(x, &m, &c);
		else
			tar_message(x, &m);
	}
	if (c.len != x->content) {
		content_release(&c);
		return STORE_GONE;
	}
	n = c.len - x->offset < PIECE ? c.len - x->offset : PIECE;
	if (is_mbox(x))
		mbox_write(&x->writer, x->out, c.data + x->offset, n);
	else
		evbuffer_add(x->out, c.data + x->offset, n);
	x->offset += n;
	content_release(&c);
	if (x->offset < x->content)
		return STORE_OK;
	if (is_mbox(x))
		mbox_write_end(&x->writer, x->out);
	else
		tar_pad(x, x->content);
	r->messages++;
	r->octets += x->content;
	x->uid = 0;
	return STORE_OK;
}

static enum store_error
produce(struct export *x, struct msg_mbox_admin_done *r)
{
	static const uint8_t zeros[TAR_BLOCK * 2];
	enum store_error error;

	if (x->folder != NULL)
		return piece(x, r);
	if (x->at == x->n) {
		if (!is_mbox(x))
			evbuffer_add(x->out, zeros, sizeof(zeros));
		x->ended = 1;
		return STORE_OK;
	}
	error = folder_open(x->store, x->list[x->at].name, &x->folder);
	if (error == STORE_NOT_FOUND) {
		x->at++; /* deleted meanwhile */
		return STORE_OK;
	}
	if (error != STORE_OK)
		return error;
	x->uid = x->next = 0;
	r->folders++;
	if (!is_mbox(x))
		tar_folder(x);
	return STORE_OK;
}

static enum task_state
export_step(void *work, struct msg_mbox_admin_done *r)
{
	struct export *x = work;
	const char *name = x->q.folder;
	enum store_error error;
	size_t sent = 0;

	if (!x->listed) {
		x->listed = 1;
		error = task_folders(x->store, name, &x->list, &x->n);
		if (error != STORE_OK)
			return task_failed(r, error, name[0] != '\0' ? name : "folders");
	}
	while (sent < STEP_OCTETS) {
		int n;

		if (evbuffer_get_length(x->out) < PIECE && !x->ended) {
			if ((error = produce(x, r)) != STORE_OK)
				return task_failed(r, error, x->list[x->at].name);
			continue;
		}
		if (evbuffer_get_length(x->out) == 0)
			return TASK_DONE;
		n = evbuffer_write(x->out, x->fd);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return TASK_WAIT;
		if (n <= 0)
			return task_refused(r, "nobody reads the output any more");
		sent += (size_t)n;
	}
	return TASK_MORE;
}

const struct task export_task = { export_new, export_step, export_free };
