/* SPDX-License-Identifier: ISC */
/* fifectl user cert; see cert_commands.h. */
#include "authd/cert_commands.h"

#include <sys/stat.h>

#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authd/auth.h"
#include "authd/external.h"
#include "authd/records.h"
#include "authd/user_commands.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"

#define PEM_MAX 65536

int
cert_value(const char *text, char *address, size_t cap, char name[CERT_NAME_MAX + 1],
    int64_t *created)
{
	char copy[CERT_VALUE_MAX + 1], *rest = copy, *a, *n, *c;
	const char *bad;

	if (strlcpy(copy, text, sizeof(copy)) >= sizeof(copy) ||
	    (a = strsep(&rest, " ")) == NULL || (n = strsep(&rest, " ")) == NULL ||
	    (c = strsep(&rest, " ")) == NULL || rest != NULL ||
	    strlcpy(address, a, cap) >= cap ||
	    strlcpy(name, n, CERT_NAME_MAX + 1) > CERT_NAME_MAX)
		return -1;
	*created = strtonum(c, 0, INT64_MAX, &bad);
	return bad == NULL ? 0 : -1;
}

/* A certificate on standard input instead of its fingerprint. */
static int
read_certificate(struct ctl *c, char out[FINGERPRINT_SIZE])
{
	int fd = ctl_take_fd(c), rc = -1;
	char *text = malloc(PEM_MAX);
	struct stat st;
	ssize_t n;
	X509 *x = NULL;

	/* A regular file: a pipe would make everybody wait for its writer. */
	if (fd != -1 && text != NULL && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (n = pread(fd, text, PEM_MAX, 0)) > 0)
		x = external_parse_pem(text, (size_t)n);
	if (x != NULL)
		rc = external_fingerprint(x, out);
	X509_free(x);
	free(text);
	if (fd != -1)
		close(fd);
	return rc;
}

static int
name_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= CERT_NAME_MAX &&
	       strspn(name,
		   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		   len;
}

void
cert_cmd_add(struct ctl *c, int argc, char **argv)
{
	char fingerprint[FINGERPRINT_SIZE], value[CERT_VALUE_MAX + 1];
	enum dir_status st;
	struct user u;
	int n;

	if (user_arg(c, argv[0], &u) == -1)
		return;
	if (!name_valid(argv[1])) {
		ctl_done(c, CTL_USAGE,
		    "%s: expected a name of letters, digits, dot, hyphen and underscore",
		    argv[1]);
		return;
	}
	if (argc == 3 ? external_fingerprint_parse(argv[2], fingerprint) == -1
		      : read_certificate(c, fingerprint) == -1) {
		ctl_done(c, CTL_USAGE,
		    "expected the SHA-256 of the public key in hexadecimal, or a "
		    "certificate in PEM form on standard input");
		return;
	}
	n = snprintf(
	    value, sizeof(value), "%s %s %lld", u.address, argv[1], (long long)wall_s());
	st = n < 0 || (size_t)n >= sizeof(value)
		 ? DIR_BAD
		 : directory_cert_put(auth.directory, fingerprint, value);
	if (st != DIR_OK) {
		ctl_done(c, st == DIR_IO ? CTL_TEMPFAIL : CTL_REFUSED, "%s: %s",
		    fingerprint, dir_status_text(st));
		return;
	}
	log_fact(LOG_LOGIN, LOGL_INFO, "certificate-added", KS("user", u.address),
	    KS("name", argv[1]), KS("fingerprint", fingerprint));
	ctl_row(c, CTL_FACTS);
	ctl_str(c, "name", argv[1]);
	ctl_str(c, "fingerprint", fingerprint);
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}

/* The next certificate of that account, from fingerprint on. 1, or 0 at the end. */
static int
next(const char *address, char *fingerprint, size_t cap, char name[CERT_NAME_MAX + 1],
    int64_t *created)
{
	char value[CERT_VALUE_MAX + 1], owner[ADDRESS_MAX + 1];

	while (directory_next(auth.directory, DIR_CERTS, fingerprint, cap, value,
		   sizeof(value)) == DIR_OK)
		if (cert_value(value, owner, sizeof(owner), name, created) == 0 &&
		    strcmp(owner, address) == 0)
			return 1;
	return 0;
}

void
cert_cmd_del(struct ctl *c, int argc, char **argv)
{
	char fingerprint[512] = "", name[CERT_NAME_MAX + 1], given[FINGERPRINT_SIZE] = "";
	char by[sizeof(((struct login *)NULL)->by)];
	enum dir_status st = DIR_NONE;
	int64_t created;
	struct user u;

	if (user_arg(c, argv[0], &u) == -1)
		return;
	if (external_fingerprint_parse(argv[1], given) == -1)
		given[0] = '\0';
	while (next(u.address, fingerprint, sizeof(fingerprint), name, &created)) {
		if (strcmp(name, argv[1]) != 0 && strcmp(fingerprint, given) != 0)
			continue;
		if ((st = directory_cert_del(auth.directory, fingerprint)) != DIR_OK)
			break;
		snprintf(by, sizeof(by), "certificate %s", name);
		logins_forget(u.address, by);
		log_fact(LOG_LOGIN, LOGL_INFO, "certificate-removed",
		    KS("user", u.address), KS("name", name),
		    KS("fingerprint", fingerprint));
	}
	if (st == DIR_OK)
		ctl_done(c, CTL_OK, NULL);
	else
		ctl_done(c, st == DIR_IO ? CTL_TEMPFAIL : CTL_REFUSED, "%s: %s", argv[1],
		    st == DIR_NONE ? "no certificate of that name or fingerprint"
				   : dir_status_text(st));
}

void
cert_cmd_list(struct ctl *c, int argc, char **argv)
{
	char fingerprint[512] = "", name[CERT_NAME_MAX + 1];
	int64_t created;
	struct user u;

	if (user_arg(c, argv[0], &u) == -1)
		return;
	while (next(u.address, fingerprint, sizeof(fingerprint), name, &created)) {
		ctl_row(c, CTL_TABLE);
		ctl_str(c, "name", name);
		ctl_str(c, "fingerprint", fingerprint);
		ctl_time(c, "created", created);
		ctl_row_end(c);
	}
	ctl_done(c, CTL_OK, NULL);
}
