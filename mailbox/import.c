/* SPDX-License-Identifier: ISC */
/*
 * import: the messages of an mbox or of a tar of a Maildir from a descriptor, into
 * folders that are made where they are missing. The quota does not hold root up. Memory
 * is bounded; all is on the disk before the command is answered.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "mailbox/acl.h"
#include "mailbox/admin.h"
#include "mailbox/import_dovecot.h"
#include "mailbox/maildir.h"
#include "mailbox/mbox_format.h"
#include "common/proto/tar_format.h"

#define PIECE 65536
#define STEP_PIECES 16
#define LETTERS 26
#define KEYWORD_FILE_MAX 8192
/* Messages whose keywords' names are still to come. */
#define WAITING_MAX 1000000

struct names { /* of a folder's keywords: dovecot-keywords */
	char folder[STORE_NAME_MAX + 1];
	char *name[LETTERS];
	int known;
};

struct waiting {
	size_t names; /* index */
	uint32_t uid;
	uint32_t letters;
};

struct import {
	struct store *store;
	struct msg_mbox_admin q;
	struct msg_mbox_admin_done *result;
	int fd;
	enum {
		UNKNOWN,
		MBOX,
		TAR
	} form;
	struct mbox_reader mbox;
	struct tar_reader tar;
	uint8_t first[5];
	size_t n_first;
	bool eof;

	struct folder *folder;
	char folder_name[STORE_NAME_MAX + 1];
	struct append *append;
	int64_t internal;
	uint64_t octets;
	uint8_t flags;    /* of the file's name */
	uint32_t letters; /* keywords of it */
	bool convert;     /* bare LF becomes CRLF */
	bool decided;     /* by the first line */
	uint8_t last;

	struct names *names;
	size_t n_names;
	size_t names_at; /* of the folder of this entry */
	char text[KEYWORD_FILE_MAX];
	size_t text_len;
	bool in_text;
	bool in_acl;
	char acl_folder[STORE_NAME_MAX + 1];
	struct waiting *waiting;
	size_t n_waiting, waiting_cap;

	struct dovecot_import dovecot;
	const struct dovecot_entry *entry; /* of this message; NULL: not in the list */
	enum {
		NO_FILE,
		UIDLIST,
		SUBSCRIPTIONS
	} file; /* that is read */
};

/* A sink's answer when the task has said in its result why it ends. */
#define FAILED 1

static int
failed(struct import *x, enum store_error error, const char *what)
{
	(void)task_failed(x->result, error, what);
	return FAILED;
}

/* ---- one message ---- */

static int
enter(struct import *x, const char *name)
{
	enum store_error error;

	if (x->folder != NULL && strcmp(x->folder_name, name) == 0)
		return 0;
	if (x->folder != NULL &&
	    (error = dovecot_import_leave(&x->dovecot, x->folder)) != STORE_OK)
		return failed(x, error, x->folder_name);
	folder_close(x->folder);
	x->folder = NULL;
	error = folder_open(x->store, name, &x->folder);
	if (error == STORE_NOT_FOUND) {
		error = store_create(x->store, name, 0);
		if (error == STORE_OK || error == STORE_EXISTS)
			error = folder_open(x->store, name, &x->folder);
		if (error == STORE_OK && !(x->q.options & MBOX_ADMIN_DOVECOT))
			(void)store_subscribe(x->store, name, 1);
	}
	if (error != STORE_OK)
		return failed(x, error, name);
	(void)strlcpy(x->folder_name, name, sizeof(x->folder_name));
	x->result->folders++;
	return 0;
}

static int
message_begin(struct import *x, int64_t internal)
{
	uint64_t quota = store_quota(x->store), messages = store_quota_messages(x->store);
	enum store_error error;

	store_set_quota(x->store, 0, 0);
	error = append_begin(x->folder, 0, &x->append);
	store_set_quota(x->store, quota, messages);
	if (error != STORE_OK)
		return failed(x, error, x->folder_name);
	append_set_lazy(x->append);
	x->internal = internal;
	x->octets = 0;
	return 0;
}

static int
message_data(struct import *x, const uint8_t *p, size_t len)
{
	enum store_error error = append_write(x->append, p, len);

	x->octets += len;
	return error == STORE_OK ? 0 : failed(x, error, x->folder_name);
}

static int
message_end(struct import *x, uint8_t flags, uint64_t keywords, uint32_t *uid)
{
	uint64_t quota = store_quota(x->store), messages = store_quota_messages(x->store);
	enum store_error error;

	store_set_quota(x->store, 0, 0);
	error = append_commit(x->append, flags, keywords, x->internal, uid);
	store_set_quota(x->store, quota, messages);
	x->append = NULL;
	if (error != STORE_OK)
		return failed(x, error, x->folder_name);
	x->result->messages++;
	x->result->octets += x->octets;
	return 0;
}

/* ---- mbox ---- */

static int
mbox_begin(void *arg, int64_t internal)
{
	struct import *x = arg;
	int e = enter(x, x->q.folder[0] != '\0' ? x->q.folder : "INBOX");

	return e != 0 ? e : message_begin(x, internal);
}

static int
mbox_data(void *arg, const uint8_t *p, size_t len)
{
	return message_data(arg, p, len);
}

static int
mbox_end(void *arg, uint8_t flags, const char *keywords)
{
	struct import *x = arg;
	uint64_t bits = 0;
	uint32_t uid;

	for (const char *p = keywords; *p != '\0';) {
		size_t n = strcspn(p, " ,");
		int i = n > 0 && n <= STORE_KEYWORD_LEN_MAX
			    ? folder_keyword_find(x->folder, p, n, 1)
			    : -1;

		if (i >= 0)
			(void)folder_keywords_add(x->folder, &bits, i);
		p += n;
		p += strspn(p, " ,");
	}
	return message_end(x, flags, bits, &uid);
}

static const struct mbox_sink mbox_sink = { mbox_begin, mbox_data, mbox_end };

/* ---- Maildir ---- */

/*
 * Of ".../DIR/cur/FILE" or ".../DIR/FILE" (in_cur 0) the folder. A directory whose name
 * begins with a dot is one of Maildir++; any other is the top. -1: no name of a folder.
 */
static int
folder_of(struct import *x, const char *path, const char *end, char *out, size_t cap)
{
	char dir[MAILDIR_NAME_MAX + 1], name[STORE_NAME_MAX + 1] = "";
	const char *base = x->q.folder;
	size_t n;
	const char *p = end;

	while (p > path && p[-1] != '/')
		p--;
	n = (size_t)(end - p);
	if (n > 1 && p[0] == '.' && strcmp(p, "..") != 0 &&
	    !(n == 8 && strncasecmp(p, ".maildir", 8) == 0)) {
		if (n >= sizeof(dir))
			return -1;
		memcpy(dir, p, n);
		dir[n] = '\0';
		if (maildir_folder_name(dir, name, sizeof(name)) == -1)
			return -1;
	}
	n = (size_t)snprintf(out, cap, "%s%s%s", base,
	    base[0] != '\0' && name[0] != '\0' ? "/" : "",
	    name[0] == '\0' && base[0] == '\0' ? "INBOX" : name);
	return n < cap ? 0 : -1;
}

static int
names_of(struct import *x, const char *folder, size_t *at)
{
	struct names *v;

	for (*at = 0; *at < x->n_names; (*at)++)
		if (strcmp(x->names[*at].folder, folder) == 0)
			return 0;
	if (x->n_names == STORE_FOLDERS_MAX ||
	    (v = reallocarray(x->names, x->n_names + 1, sizeof(*v))) == NULL)
		return failed(x, STORE_LIMIT, folder);
	x->names = v;
	memset(&v[x->n_names], 0, sizeof(*v));
	(void)strlcpy(v[x->n_names].folder, folder, sizeof(v->folder));
	x->n_names++;
	return 0;
}

/* Letters to bits of this folder's keywords. */
static uint64_t
keywords_of(struct import *x, const struct names *v, uint32_t letters)
{
	uint64_t bits = 0;

	for (int i = 0; i < LETTERS; i++)
		if ((letters >> i & 1) && v->name[i] != NULL) {
			int k = folder_keyword_find(
			    x->folder, v->name[i], strlen(v->name[i]), 1);

			if (k >= 0)
				(void)folder_keywords_add(x->folder, &bits, k);
		}
	return bits;
}

/* "0 NAME\n1 NAME\n", and the messages that have waited for it. */
static int
take_names(struct import *x)
{
	struct names *v = &x->names[x->names_at];
	size_t kept = 0;
	char *save = x->text, *line;
	int e;

	x->text[x->text_len] = '\0';
	while ((line = strsep(&save, "\n")) != NULL) {
		char *space = strchr(line, ' ');
		const char *bad = NULL;
		int i;

		if (space == NULL)
			continue;
		*space = '\0';
		i = (int)strtonum(line, 0, LETTERS - 1, &bad);
		if (bad != NULL || v->name[i] != NULL || space[1] == '\0' ||
		    strlen(space + 1) > STORE_KEYWORD_LEN_MAX)
			continue;
		if ((v->name[i] = strdup(space + 1)) == NULL)
			return failed(x, STORE_IO, v->folder);
	}
	v->known = 1;
	for (size_t i = 0; i < x->n_waiting; i++) {
		struct waiting *w = &x->waiting[i];
		uint64_t bits;

		if (w->names != x->names_at) {
			x->waiting[kept++] = *w;
			continue;
		}
		if ((e = enter(x, v->folder)) != 0)
			return e;
		if ((bits = keywords_of(x, v, w->letters)) != 0)
			(void)folder_store(x->folder, &w->uid, 1, FLAG_OP_ADD, 0, bits, 0,
			    NULL, NULL, NULL);
	}
	x->n_waiting = kept;
	return 0;
}

static int
wait_for_names(struct import *x, uint32_t uid)
{
	if (x->n_waiting == x->waiting_cap) {
		size_t cap = x->waiting_cap + x->waiting_cap / 2 + 64;
		struct waiting *w;

		if (cap > WAITING_MAX)
			return 0; /* its keywords are lost, not it */
		if ((w = reallocarray(x->waiting, cap, sizeof(*w))) == NULL)
			return failed(x, STORE_IO, x->folder_name);
		x->waiting = w;
		x->waiting_cap = cap;
	}
	x->waiting[x->n_waiting++] = (struct waiting){ x->names_at, uid, x->letters };
	return 0;
}

/* ---- Dovecot's own files ---- */

static int
file_begin(struct import *x, const char *path, const char *dir_end, uint64_t size)
{
	char folder[STORE_NAME_MAX + 1];
	int r;

	if (x->file == UIDLIST) {
		if (folder_of(x, path, dir_end, folder, sizeof(folder)) == -1 ||
		    (r = dovecot_import_file(&x->dovecot, size)) == 0) {
			x->file = NO_FILE;
			return 0;
		}
		return r == -1 ? failed(x, STORE_IO, folder) : enter(x, folder);
	}
	r = dovecot_import_file(&x->dovecot, size);
	if (r == 0)
		x->file = NO_FILE;
	return r == -1 ? failed(x, STORE_IO, "subscriptions") : 0;
}

static int
file_end(struct import *x)
{
	int file = x->file;
	enum store_error error;

	x->file = NO_FILE;
	if (file == SUBSCRIPTIONS) {
		dovecot_import_subscriptions(&x->dovecot, x->store, x->q.folder);
		return 0;
	}
	/* A folder that comes twice: the list of the second counts. */
	if ((error = dovecot_import_leave(&x->dovecot, x->folder)) == STORE_OK)
		error = dovecot_import_list(&x->dovecot, x->folder);
	return error == STORE_OK ? 0 : failed(x, error, x->folder_name);
}

/* Who else may what with a folder; one that has a list keeps it. */
static int
take_acl(struct import *x)
{
	struct acl a = { 0 };
	int e = 0;

	if (store_acl(x->store, x->acl_folder) == NULL &&
	    acl_parse(x->text, x->text_len, &a) == 0 && a.n > 0 &&
	    (e = enter(x, x->acl_folder)) == 0)
		(void)store_acl_set(x->store, x->acl_folder, &a);
	acl_clear(&a);
	return e;
}

static int
tar_begin(void *arg, const char *path, uint64_t size, int64_t mtime)
{
	struct import *x = arg;
	char folder[STORE_NAME_MAX + 1];
	const char *slash = strrchr(path, '/'), *file, *dir_end;
	struct maildir_name p;
	int e;

	file = slash == NULL ? path : slash + 1;
	dir_end = slash == NULL ? path : slash;
	x->in_text = x->in_acl = false;
	x->file = NO_FILE;
	if ((x->q.options & MBOX_ADMIN_DOVECOT) &&
	    (strcmp(file, "dovecot-uidlist") == 0 ||
		strcmp(path, "subscriptions") == 0)) {
		x->file = path[0] == 's' ? SUBSCRIPTIONS : UIDLIST;
		return file_begin(x, path, dir_end, size);
	}
	if ((x->q.options & MBOX_ADMIN_DOVECOT) && strcmp(file, "maildirfolder") == 0 &&
	    folder_of(x, path, dir_end, folder, sizeof(folder)) == 0)
		return enter(x, folder); /* an empty one, perhaps */
	if (strcmp(file, "dovecot-keywords") == 0 && size < sizeof(x->text)) {
		if (folder_of(x, path, dir_end, folder, sizeof(folder)) == -1)
			return 0;
		x->in_text = true;
		x->text_len = 0;
		return names_of(x, folder, &x->names_at);
	}
	if (strcmp(file, "fife-acl") == 0 && size < sizeof(x->text)) {
		if (folder_of(x, path, dir_end, x->acl_folder, sizeof(x->acl_folder)) ==
		    -1)
			return 0;
		x->in_text = x->in_acl = true;
		x->text_len = 0;
		return 0;
	}
	if (slash == NULL || slash - path < 3 ||
	    (strncmp(slash - 3, "cur", 3) != 0 && strncmp(slash - 3, "new", 3) != 0) ||
	    (slash - path > 3 && slash[-4] != '/') || file[0] == '.' || size == 0 ||
	    size > INT32_MAX) {
		/* What a Maildir has beside its messages is not worth a count. */
		x->result->skipped += size > INT32_MAX;
		return 0;
	}
	dir_end = slash - path > 3 ? slash - 4 : path;
	if (folder_of(x, path, dir_end, folder, sizeof(folder)) == -1) {
		x->result->skipped++;
		return 0;
	}
	if ((e = names_of(x, folder, &x->names_at)) != 0 || (e = enter(x, folder)) != 0 ||
	    (e = message_begin(x, mtime)) != 0)
		return e;
	x->entry = dovecot_uidlist_find(&x->dovecot.list, file);
	maildir_name_parse(file, &p);
	x->flags = p.flags;
	x->letters = p.keywords;
	x->convert = x->decided = false;
	x->last = 0;
	return 0;
}

/* The first line's end tells whether the file has LF alone. */
static int
tar_data(void *arg, const uint8_t *p, size_t len)
{
	struct import *x = arg;
	size_t from = 0;
	int e;

	if (x->file != NO_FILE) {
		dovecot_import_data(&x->dovecot, p, len);
		return 0;
	}
	if (x->in_text) {
		if (len > sizeof(x->text) - 1 - x->text_len)
			len = sizeof(x->text) - 1 - x->text_len;
		memcpy(x->text + x->text_len, p, len);
		x->text_len += len;
		return 0;
	}
	if (x->append == NULL)
		return 0;
	for (size_t i = 0; i < len && (!x->decided || x->convert); i++) {
		uint8_t before = i > 0 ? p[i - 1] : x->last;

		if (p[i] != '\n')
			continue;
		if (!x->decided) {
			x->decided = true;
			x->convert = before != '\r';
		}
		if (!x->convert || before == '\r')
			continue;
		if ((i > from && (e = message_data(x, p + from, i - from)) != 0) ||
		    (e = message_data(x, (const uint8_t *)"\r", 1)) != 0)
			return e;
		from = i;
	}
	if (len > 0)
		x->last = p[len - 1];
	return from < len ? message_data(x, p + from, len - from) : 0;
}

static int
tar_end(void *arg)
{
	struct import *x = arg;
	const struct names *v;
	uint32_t uid;
	int e;

	if (x->file != NO_FILE)
		return file_end(x);
	if (x->in_text) {
		x->in_text = false;
		return x->in_acl ? take_acl(x) : take_names(x);
	}
	if (x->append == NULL)
		return 0;
	switch (dovecot_import_message(
	    &x->dovecot, x->folder, x->entry, x->octets, x->internal)) {
	case DOVECOT_KNOWN:
		append_abort(x->append);
		x->append = NULL;
		x->result->skipped++;
		return 0;
	case DOVECOT_UID:
		append_set_uid(x->append, x->entry->uid);
		break;
	case DOVECOT_NEW:
		break;
	}
	v = &x->names[x->names_at];
	e = message_end(x, x->flags, keywords_of(x, v, x->letters), &uid);
	if (e == 0 && x->entry != NULL) {
		dovecot_import_imported(&x->dovecot, x->entry, uid);
		x->result->renumbered += uid != x->entry->uid;
	}
	if (e == 0 && x->letters != 0 && !v->known)
		e = wait_for_names(x, uid);
	return e;
}

static const struct tar_sink tar_sink = { tar_begin, tar_data, tar_end };

/* ---- the task ---- */

static void *
import_new(struct store *store, const struct msg_mbox_admin *q, int fd)
{
	struct import *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	x->store = store;
	x->q = *q;
	x->fd = fd;
	mbox_reader_init(&x->mbox, &mbox_sink, x);
	tar_reader_init(&x->tar, &tar_sink, x);
	return x;
}

static void
import_free(void *work)
{
	struct import *x = work;

	append_abort(x->append);
	dovecot_import_clear(&x->dovecot);
	folder_close(x->folder);
	for (size_t i = 0; i < x->n_names; i++)
		for (size_t j = 0; j < LETTERS; j++)
			free(x->names[i].name[j]);
	free(x->names);
	free(x->waiting);
	free(x);
}

static int
feed(struct import *x, const uint8_t *p, size_t len)
{
	return x->form == MBOX ? mbox_reader_feed(&x->mbox, p, len)
			       : tar_reader_feed(&x->tar, p, len);
}

/* The first octets tell which form it is. */
static int
take(struct import *x, const uint8_t *p, size_t len)
{
	int e;

	while (x->form == UNKNOWN && len > 0 && x->n_first < sizeof(x->first)) {
		x->first[x->n_first++] = *p++;
		len--;
	}
	if (x->form == UNKNOWN) {
		if (x->n_first < sizeof(x->first))
			return 0;
		x->form = memcmp(x->first, "From ", 5) == 0 ? MBOX : TAR;
		if ((e = feed(x, x->first, sizeof(x->first))) != 0)
			return e;
	}
	return feed(x, p, len);
}

static int
finish(struct import *x)
{
	if (x->form == UNKNOWN)
		return x->n_first == 0 ? 0 : -1;
	return x->form == MBOX ? mbox_reader_finish(&x->mbox)
			       : tar_reader_finish(&x->tar);
}

/* All that was taken stays, whatever came after it. */
static enum task_state
end(struct import *x, int e, struct msg_mbox_admin_done *r)
{
	enum store_error error = STORE_OK;

	append_abort(x->append);
	x->append = NULL;
	if (x->folder != NULL &&
	    (error = dovecot_import_leave(&x->dovecot, x->folder)) != STORE_OK && e == 0)
		e = failed(x, error, x->folder_name);
	if (e == -1) {
		if (x->form == MBOX)
			(void)task_refused(r, "the input is no mbox");
		else if (r->messages > 0 || x->tar.entries > 0)
			(void)task_refused(r,
			    "the tar archive is damaged or ends too early; "
			    "%llu messages were imported",
			    (unsigned long long)r->messages);
		else
			(void)task_refused(r,
			    "the input is neither an mbox nor a tar archive "
			    "(a compressed one must be unpacked)");
	}
	if ((r->messages > 0 && compat_syncfs(store_root(x->store)) == -1) ||
	    store_sync(x->store) != STORE_OK)
		return task_failed(r, STORE_IO, "making it durable");
	return TASK_DONE;
}

static enum task_state
import_step(void *work, struct msg_mbox_admin_done *r)
{
	struct import *x = work;
	char canonical[STORE_NAME_MAX + 1];
	uint8_t buf[PIECE];
	int e;

	x->result = r;
	if (x->q.folder[0] != '\0') {
		if (maildir_folder_canonical(x->q.folder, canonical, sizeof(canonical)) ==
		    -1)
			return task_failed(r, STORE_BAD_NAME, x->q.folder);
		(void)strlcpy(x->q.folder, canonical, sizeof(x->q.folder));
	}
	for (int i = 0; i < STEP_PIECES; i++) {
		ssize_t n = read(x->fd, buf, sizeof(buf));

		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return TASK_WAIT;
		if (n == -1)
			return task_failed(r, STORE_IO, "input");
		if (n == 0)
			return end(x, finish(x), r);
		if ((e = take(x, buf, (size_t)n)) != 0)
			return end(x, e, r);
	}
	return TASK_MORE;
}

const struct task import_task = { import_new, import_step, import_free };
