/* SPDX-License-Identifier: ISC */
/* Keys and tokens of URLAUTH; see urlauth.h. */
#include "mailbox/urlauth.h"

#include <sys/stat.h>

#include <errno.h>
#include <event2/buffer.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/imap/imap_urlauth.h"
#include "common/log.h"
#include "common/proto/encoding.h"
#include "mailbox/imap_url.h"
#include "mailbox/store_int.h"

#define KEY_FILE "fife-urlauth"
#define KEY_LEN 32
#define LINE_LEN (FOLDER_ID_LEN + 1 + 2 * KEY_LEN + 1)
#define FILE_MAX_LEN ((size_t)LINE_LEN * STORE_FOLDERS_MAX)

/* ---- keys ---- */

/* The whole file, malloc'd; NULL: there is none, or it cannot be read (*error). */
static char *
keys_read(struct store *s, size_t *len, enum store_error *error)
{
	int fd = openat(
	    store_root(s), KEY_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char *text = NULL;
	struct stat st;
	ssize_t n;

	*error = STORE_OK;
	*len = 0;
	if (fd == -1) {
		if (errno != ENOENT)
			*error = store_errno(KEY_FILE);
		return NULL;
	}
	if (fstat(fd, &st) == -1 || st.st_size < 0 || (size_t)st.st_size > FILE_MAX_LEN ||
	    (text = malloc((size_t)st.st_size + 1)) == NULL ||
	    (n = read(fd, text, (size_t)st.st_size)) == -1) {
		*error = store_errno(KEY_FILE);
		free(text);
		close(fd);
		return NULL;
	}
	close(fd);
	*len = (size_t)n - (size_t)n % LINE_LEN;
	return text;
}

static char *
key_line(char *text, size_t len, const char *id)
{
	for (char *p = text; (size_t)(p - text) + LINE_LEN <= len; p += LINE_LEN)
		if (memcmp(p, id, FOLDER_ID_LEN) == 0 && p[FOLDER_ID_LEN] == ' ' &&
		    p[LINE_LEN - 1] == '\n')
			return p;
	return NULL;
}

static enum store_error
keys_write(struct store *s, const char *text, size_t len)
{
	enum store_error error = STORE_OK;
	int root = store_root(s), fd;

	fd = openat(root, KEY_FILE ".new",
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd == -1 || write(fd, text, len) != (ssize_t)len || fdatasync(fd) == -1 ||
	    renameat(root, KEY_FILE ".new", root, KEY_FILE) == -1 || fsync(root) == -1)
		error = store_errno(KEY_FILE);
	if (fd != -1)
		close(fd);
	return error;
}

/* The folder's key. make: one that was not there, or a new one (anew). */
static enum store_error
key_get(struct store *s, struct folder *f, bool make, bool anew, uint8_t key[KEY_LEN])
{
	enum store_error error;
	size_t len, kept = 0;
	char *text = keys_read(s, &len, &error), *line, *all;

	if (error != STORE_OK)
		return error;
	line = text == NULL ? NULL : key_line(text, len, folder_id(f));
	if (line != NULL && !anew) {
		int n = hex_decode(line + FOLDER_ID_LEN + 1, 2 * KEY_LEN, key, KEY_LEN);

		freezero(text, len);
		return n == KEY_LEN ? STORE_OK : STORE_NOT_FOUND;
	}
	if (!make) {
		freezero(text, len);
		return STORE_NOT_FOUND;
	}
	if ((all = malloc(len + LINE_LEN + 1)) == NULL) {
		freezero(text, len);
		return store_errno(KEY_FILE);
	}
	/* Keys of folders that are gone go with them. */
	for (size_t i = 0; i + LINE_LEN <= len; i += LINE_LEN) {
		bool there = false;

		if (text + i == line)
			continue;
		/* The table of folders need not know all of them: only a long list is
		 * worth the look. */
		there = len / LINE_LEN < 2 * s->n_folders + 64;
		for (size_t j = 0; j < s->n_folders && !there; j++)
			there = memcmp(text + i, s->folders[j]->mailbox_id,
				    FOLDER_ID_LEN) == 0;
		if (!there)
			continue;
		memcpy(all + kept, text + i, LINE_LEN);
		kept += LINE_LEN;
	}
	arc4random_buf(key, KEY_LEN);
	(void)snprintf(all + kept, FOLDER_ID_LEN + 2, "%s ", folder_id(f));
	(void)hex_encode(key, KEY_LEN, all + kept + FOLDER_ID_LEN + 1, 2 * KEY_LEN + 1);
	all[kept + LINE_LEN - 1] = '\n';
	error = kept + LINE_LEN > FILE_MAX_LEN ? STORE_LIMIT
					       : keys_write(s, all, kept + LINE_LEN);
	freezero(all, len + LINE_LEN + 1);
	freezero(text, len);
	return error;
}

enum store_error
urlauth_reset(struct store *s, struct folder *f)
{
	uint8_t key[KEY_LEN];
	enum store_error error;

	if (f != NULL)
		error = key_get(s, f, true, true, key);
	else
		error = keys_write(s, "", 0);
	explicit_bzero(key, sizeof(key));
	return error;
}

/* ---- tokens ---- */

static void
print_token(const uint8_t key[KEY_LEN], const char *rump, size_t len, char *token)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	memcpy(token, "01", 3);
	if (HMAC(EVP_sha256(), key, KEY_LEN, (const unsigned char *)rump, len, mac, &n) !=
		NULL &&
	    n == 32)
		(void)hex_encode(mac, n, token + 2, URLAUTH_TOKEN_SIZE - 2);
	explicit_bzero(mac, sizeof(mac));
}

enum store_error
urlauth_token(
    struct store *s, struct folder *f, const char *rump, size_t len, char *token)
{
	uint8_t key[KEY_LEN];
	enum store_error error = key_get(s, f, true, false, key);

	token[0] = '\0';
	if (error == STORE_OK)
		print_token(key, rump, len, token);
	explicit_bzero(key, sizeof(key));
	return error != STORE_OK || strlen(token) == URLAUTH_TOKEN_SIZE - 1 ? error
									    : STORE_IO;
}

/* ---- what a URL opens ---- */

static bool
may(const struct imap_urlauth *u, const struct urlauth_asker *who, const char *owner)
{
	switch (u->access) {
	case IMAP_URL_SUBMIT:
		return who->submits && imap_urlauth_is(u->user, who->address, owner);
	case IMAP_URL_USER:
		return imap_urlauth_is(u->user, who->address, owner);
	case IMAP_URL_AUTHUSER:
	case IMAP_URL_ANONYMOUS:
		return who->address[0] != '\0';
	}
	return false;
}

/* Takes as long whether there is such a folder or not (RFC 4467, 6). */
static bool
token_holds(
    struct store *s, struct folder *f, const struct imap_urlauth *u, const char *url)
{
	char token[URLAUTH_TOKEN_SIZE] = "", given[URLAUTH_TOKEN_SIZE] = "";
	uint8_t key[KEY_LEN];
	bool known = f != NULL && key_get(s, f, false, false, key) == STORE_OK, same;

	if (!known)
		arc4random_buf(key, sizeof(key));
	print_token(key, url, u->rump_len, token);
	explicit_bzero(key, sizeof(key));
	if (u->token_len != URLAUTH_TOKEN_SIZE - 1 ||
	    strlen(token) != URLAUTH_TOKEN_SIZE - 1)
		return false;
	for (size_t i = 0; i < u->token_len; i++)
		given[i] = u->token[i] >= 'A' && u->token[i] <= 'F'
			       ? (char)(u->token[i] - 'A' + 'a')
			       : u->token[i];
	same = CRYPTO_memcmp(token, given, URLAUTH_TOKEN_SIZE - 1) == 0;
	explicit_bzero(token, sizeof(token));
	return known && same;
}

enum urlauth_status
urlauth_open(struct store *s, const char *owner, const struct urlauth_asker *who,
    const char *url, size_t len, unsigned int items, int64_t now,
    struct urlauth_part *out)
{
	enum urlauth_status status = URLAUTH_BAD;
	struct folder *f = NULL;
	struct imap_urlauth u;
	struct imap_url part;
	enum store_error e;

	memset(out, 0, sizeof(*out));
	if (imap_urlauth_parse(url, len, &u) == -1 || u.mechanism == NULL ||
	    imap_url_parse(u.part, u.part_len, &part) == -1 || !part.has_mailbox ||
	    !imap_urlauth_is(u.owner, owner, owner))
		return URLAUTH_BAD;
	if (folder_open(s, part.mailbox, &f) != STORE_OK)
		f = NULL;
	if (token_holds(s, f, &u, url) &&
	    ascii_equal(u.mechanism, u.mechanism_len, "INTERNAL") &&
	    may(&u, who, owner) && (!u.expires || now <= u.expire)) {
		status = URLAUTH_ABSENT;
		folder_refresh(f);
		if (part.uidvalidity == 0 || part.uidvalidity == folder_uidvalidity(f)) {
			e = folder_content(f, part.uid, &out->content);
			if (e == STORE_OK && (items & IMAP_URL_STRUCTURE) != 0 &&
			    (out->structure = evbuffer_new()) == NULL)
				status = URLAUTH_IO;
			else if (e == STORE_OK &&
				 imap_url_items(&part, items, &out->content, &out->octets,
				     out->structure) == 0)
				status = URLAUTH_OK;
			if (e == STORE_OK && status != URLAUTH_OK)
				urlauth_part_clear(out);
			else if (e != STORE_OK && e != STORE_NOT_FOUND && e != STORE_GONE)
				status = URLAUTH_IO;
		}
	}
	if (f != NULL)
		folder_close(f);
	return status;
}

void
urlauth_part_clear(struct urlauth_part *p)
{
	free(p->octets.owned);
	if (p->structure != NULL)
		evbuffer_free(p->structure);
	content_release(&p->content);
	memset(p, 0, sizeof(*p));
}
