/* SPDX-License-Identifier: ISC */
/* Trust anchors, and their state; see anchors.h. */
#include "dnsd/anchors.h"

#include <sys/stat.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/address.h"

#define ANCHORS_MAX 64
#define LINE_MAX_OCTETS 4096
#define ZONES_MAX 16
#define KEYS_MAX 16
#define FILE_OCTETS_MAX 65536

static char *lines[ANCHORS_MAX];
static int zone_of[ANCHORS_MAX]; /* by line: index of zones, -1: not followed */
static size_t n_lines;

static struct zone {
	char name[256]; /* without the last dot; "" for the root */
	char file[300];
	uint64_t seen; /* hash of its keys and their states */
} zones[ZONES_MAX];
static size_t n_zones;

size_t
anchors_count(void)
{
	return n_lines;
}

const char *
anchors_zone(size_t i)
{
	return i >= n_zones ? NULL : zones[i].name[0] != '\0' ? zones[i].name : ".";
}

/* The zone of a line, made when it is new; -1: it cannot be followed. */
static int
find_zone(const char *line)
{
	size_t n = strcspn(line, " \t");
	struct zone *z = &zones[n_zones];
	char name[256];

	if (n == 0 || n >= sizeof(name) || line[n - 1] != '.')
		return -1;
	for (size_t i = 0; i + 1 < n; i++)
		name[i] = (char)tolower((unsigned char)line[i]);
	name[n - 1] = '\0';
	for (size_t i = 0; i < n_zones; i++)
		if (strcmp(zones[i].name, name) == 0)
			return (int)i;
	if (n_zones == ZONES_MAX ||
	    (n > 1 && !address_domain_valid_loose(name, strlen(name))))
		return -1;
	strlcpy(z->name, name, sizeof(z->name));
	snprintf(z->file, sizeof(z->file), "anchor.%s", n > 1 ? name : "root");
	return (int)n_zones++;
}

static int
read_lines(const char *path)
{
	char *line = malloc(LINE_MAX_OCTETS);
	FILE *f = line == NULL ? NULL : fopen(path, "re");
	int ret = -1;

	if (f == NULL) {
		log_warn("resolver: trust anchors %s", path);
		goto done;
	}
	while (fgets(line, LINE_MAX_OCTETS, f) != NULL) {
		line[strcspn(line, ";\r\n")] = '\0';
		if (line[strspn(line, " \t")] == '\0')
			continue;
		if (n_lines == ANCHORS_MAX) {
			log_warnx("resolver: more than %d trust anchors in %s",
			    ANCHORS_MAX, path);
			goto done;
		}
		if ((lines[n_lines] = strdup(line)) == NULL)
			goto done;
		n_lines++;
	}
	if (n_lines == 0) {
		log_warnx("resolver: no trust anchor in %s", path);
		goto done;
	}
	ret = 0;
done:
	if (f != NULL)
		fclose(f);
	free(line);
	return ret;
}

/* ---- the files, as root in a directory that is another's ---- */

/* Text of a plain file with that owner; NULL when there is none. Freed by the caller. */
static char *
read_own(const char *name, uid_t uid)
{
	int fd = open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd == -1)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
	    st.st_uid == uid && st.st_size < FILE_OCTETS_MAX &&
	    (text = malloc((size_t)st.st_size + 1)) != NULL) {
		n = read(fd, text, (size_t)st.st_size);
		text[n > 0 ? n : 0] = '\0';
	}
	close(fd);
	return text;
}

static int
write_own(const char *name, const char *text, const struct msg_conf *c)
{
	size_t len = strlen(text);
	int fd, bad;

	(void)unlink("new");
	fd = open("new", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	bad = fd == -1 || write(fd, text, len) != (ssize_t)len ||
	      fchown(fd, c->uid, c->gid) == -1 || fsync(fd) == -1;
	if (fd != -1)
		bad |= close(fd) == -1;
	if (bad || rename("new", name) == -1) {
		log_warn("resolver: trust anchor %s", name);
		(void)unlink("new");
		return -1;
	}
	return 0;
}

/* Its lines of the file that is configured. */
static void
zone_text(size_t zone, char *out, size_t cap)
{
	out[0] = '\0';
	for (size_t i = 0; i < n_lines; i++)
		if (zone_of[i] == (int)zone) {
			strlcat(out, lines[i], cap);
			strlcat(out, "\n", cap);
		}
}

/* 0: it is followed; -1: its anchors stay as they are. */
static int
prepare(size_t zone)
{
	static char want[FILE_OCTETS_MAX];
	const struct msg_conf *c = daemon_conf();
	struct zone *z = &zones[zone];
	char from[320];
	char *had, *state;
	int rc = 0;

	zone_text(zone, want, sizeof(want));
	snprintf(from, sizeof(from), "%s.from", z->file);
	had = read_own(from, c->uid);
	state = read_own(z->file, c->uid);
	if (had == NULL || state == NULL || strcmp(had, want) != 0) {
		(void)unlink(from);
		rc = write_own(z->file, want, c);
		if (rc == 0)
			rc = write_own(from, want, c);
	}
	free(had);
	free(state);
	return rc;
}

static int
is_ours(const char *name)
{
	for (size_t i = 0; i < n_zones; i++) {
		size_t n = strlen(zones[i].file);

		if (strncmp(name, zones[i].file, n) == 0 &&
		    (name[n] == '\0' || strcmp(name + n, ".from") == 0))
			return 1;
	}
	return 0;
}

/* What the library left half-written, and zones that are followed no more. */
static void
tidy(void)
{
	DIR *d = opendir(".");
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (strncmp(e->d_name, "anchor.", 7) == 0 && !is_ours(e->d_name))
			(void)unlink(e->d_name);
	if (d != NULL)
		closedir(d);
}

int
anchors_open(const char *path, int follow, const char *root)
{
	if (read_lines(path) == -1)
		return -1;
	for (size_t i = 0; i < n_lines; i++)
		zone_of[i] = follow ? find_zone(lines[i]) : -1;
	if (n_zones == 0)
		return 0;
	if (chdir(root) == -1) {
		log_warn("resolver: %s", root);
		return -1;
	}
	tidy();
	for (size_t k = 0; k < n_zones; k++)
		if (prepare(k) == -1) {
			log_warnx(
			    "resolver: new keys of %s are not followed", anchors_zone(k));
			for (size_t i = 0; i < n_lines; i++)
				if (zone_of[i] == (int)k)
					zone_of[i] = -1;
		}
	return 0;
}

/* ---- for a context ---- */

static int
hold(struct ub_ctx *c, uint32_t seconds)
{
	char text[16];

	if (seconds == ANCHORS_HOLD_DEFAULT_S)
		return 0;
	snprintf(text, sizeof(text), "%u", seconds);
	/* Not permit-small-holddown: with it the library divides by nought where a zone's
	 * keys have a time of less than ten seconds. */
	return ub_ctx_set_option(c, "add-holddown:", text) == 0 &&
		       ub_ctx_set_option(c, "del-holddown:", text) == 0
		   ? 0
		   : -1;
}

int
anchors_apply(struct ub_ctx *c, uint32_t hold_s)
{
	int used[ZONES_MAX] = { 0 }, r;

	if (n_zones > 0 && hold(c, hold_s) == -1) {
		log_warnx("resolver: the hold-down of trust anchors cannot be set");
		return -1;
	}
	for (size_t i = 0; i < n_lines; i++) {
		int k = zone_of[i];

		if (k != -1 && used[k]++)
			continue;
		r = k == -1 ? ub_ctx_add_ta(c, lines[i])
			    : ub_ctx_add_ta_autr(c, zones[k].file);
		if (r != 0) {
			log_warnx(
			    "resolver: trust anchor %zu: %s", i + 1, ub_strerror(r));
			return -1;
		}
	}
	return 0;
}

/* ---- what became of them ---- */

int
anchors_parse_line(const char *line, struct anchor_key *k)
{
	static const char *const states[] = { "start", "pending", "valid", "missing",
		"revoked", "removed" };
	const char *p = strstr(line, "{id = "), *q = strstr(line, ";;state="),
		   *r = strstr(line, ";;lastchange=");
	unsigned int state;
	long long since;

	if (p == NULL || q == NULL || r == NULL || sscanf(p, "{id = %5u", &k->tag) != 1 ||
	    sscanf(q, ";;state=%1u", &state) != 1 ||
	    state >= sizeof(states) / sizeof(states[0]) ||
	    sscanf(r, ";;lastchange=%18lld", &since) != 1)
		return 0;
	strlcpy(k->state, states[state], sizeof(k->state));
	k->since = since;
	return 1;
}

size_t
anchors_keys(size_t i, struct anchor_key *keys, size_t room)
{
	char *text = i < n_zones ? read_own(zones[i].file, daemon_conf()->uid) : NULL;
	size_t n = 0;

	for (char *p = text, *line; n < room && (line = strsep(&p, "\n")) != NULL;)
		n += anchors_parse_line(line, &keys[n]);
	free(text);
	return n;
}

void
anchors_note_changes(void)
{
	struct anchor_key keys[KEYS_MAX];

	for (size_t i = 0; i < n_zones; i++) {
		size_t n = anchors_keys(i, keys, KEYS_MAX);
		uint64_t h = 14695981039346656037ull;

		for (size_t k = 0; k < n; k++) {
			h = (h ^ keys[k].tag) * 1099511628211ull;
			for (const char *s = keys[k].state; *s != '\0'; s++)
				h = (h ^ (unsigned char)*s) * 1099511628211ull;
		}
		if (h != zones[i].seen)
			for (size_t k = 0; k < n; k++)
				log_fact(LOG_HOST, LOGL_INFO, "dns-anchor",
				    KS("zone", anchors_zone(i)), KU("key", keys[k].tag),
				    KS("state", keys[k].state));
		zones[i].seen = h;
	}
}
