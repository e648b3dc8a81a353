/* SPDX-License-Identifier: ISC */
/* Counts on the disk; see tally_file.h. */
#include "policyd/tally_file.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/file.h"
#include "common/log.h"
#include "common/proto/date.h"
#include "common/proto/tlsrpt.h"

#define DIRECTORY ".tls"
#define DAY_S 86400
#define DAYS_MAX 8
#define FILE_MAX (256u << 20)
#define LINE_MAX_OCTETS 12288
#define ANEW_AT (1u << 20)
#define NUMBERS_MAX 400000

/* A file, and what is to be added to it. */
struct day {
	int32_t day; /* 0: free */
	uint32_t last_number;
	size_t on_disk, written_anew; /* octets */
	char *add;
	size_t add_len, add_cap;
	int lost; /* memory was short: the file must be written anew */
};

static struct day days[DAYS_MAX];
static struct event *flush_event;

#define PARTS_MAX 64
static struct {
	int32_t day;
	int64_t to;
	char domain[256];
} parts[PARTS_MAX];

/* By number of a policy in the file that is being read. */
static struct tally_policy **numbers;
static size_t n_numbers;

static void
file_name(int32_t day, char out[64])
{
	struct date d;

	date_from_time((int64_t)day * DAY_S, 0, &d);
	snprintf(out, 64, DIRECTORY "/%04d%02d%02d", d.year, d.month, d.day);
}

static struct day *
day_get(int32_t day)
{
	struct day *oldest = &days[0];

	for (size_t i = 0; i < DAYS_MAX; i++)
		if (days[i].day == day)
			return &days[i];
	for (size_t i = 0; i < DAYS_MAX; i++) {
		if (days[i].day == 0) {
			oldest = &days[i];
			break;
		}
		if (days[i].day < oldest->day)
			oldest = &days[i];
	}
	free(oldest->add);
	memset(oldest, 0, sizeof(*oldest));
	oldest->day = day;
	return oldest;
}

static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	tally_file_flush();
}

static void
flush_soon(void)
{
	struct timeval tv = { 1, 0 };

	if (daemon_base() == NULL)
		return;
	if (flush_event == NULL)
		flush_event = evtimer_new(daemon_base(), on_flush, NULL);
	if (flush_event != NULL && !evtimer_pending(flush_event, NULL))
		evtimer_add(flush_event, &tv);
}

static void add_line(struct day *, const char *, ...)
    __attribute__((format(printf, 2, 3)));

static void
add_line(struct day *d, const char *fmt, ...)
{
	char line[LINE_MAX_OCTETS];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line))
		return;
	if (d->add_len + (size_t)n > d->add_cap) {
		size_t cap = d->add_cap == 0 ? 8192 : d->add_cap * 2;
		char *p;

		while (cap < d->add_len + (size_t)n)
			cap *= 2;
		if (cap > FILE_MAX || (p = realloc(d->add, cap)) == NULL) {
			d->lost = 1;
			return;
		}
		d->add = p;
		d->add_cap = cap;
	}
	memcpy(d->add + d->add_len, line, (size_t)n);
	d->add_len += (size_t)n;
	flush_soon();
}

static void
add_policy(struct day *d, struct tally_policy *p)
{
	p->number = ++d->last_number;
	add_line(d, "P\t%u\t%s\t%lld\t%u\t%s\t%s\t%s\n", p->number, p->tally->domain,
	    (long long)p->tally->since, p->type, p->domain, p->mx, p->strings);
}

static void
add_count(struct day *d, uint32_t number, const struct tally_event *e)
{
	add_line(d, "C\t%u\t%u\t%llu\t%s\t%s\t%s\t%s\t%s\n", number, e->result,
	    (unsigned long long)e->count, e->sending_ip, e->mx, e->ip, e->helo,
	    e->reason);
}

/* All that is known of it. */
static void
add_tally(struct day *d, struct tally *t)
{
	for (struct tally_policy *p = t->policies; p != NULL; p = p->next) {
		struct tally_event e = { .result = TLSRPT_SUCCESS,
			.count = p->success,
			.sending_ip = "",
			.mx = "",
			.ip = "",
			.helo = "",
			.reason = "" };
		uint64_t rest = p->failure;

		add_policy(d, p);
		if (p->success > 0)
			add_count(d, p->number, &e);
		for (struct tally_detail *x = p->details; x != NULL; x = x->next) {
			struct tally_event f = { .result = x->result,
				.count = x->count,
				.sending_ip = x->sending_ip,
				.mx = x->mx,
				.ip = x->ip,
				.helo = x->helo,
				.reason = x->reason };

			add_count(d, p->number, &f);
			rest -= x->count < rest ? x->count : rest;
		}
		/* Those beyond the bound of details have none. */
		e.result = TLSRPT_VALIDATION_FAILURE;
		e.count = rest;
		if (rest > 0)
			add_count(d, p->number, &e);
	}
	if (t->to != 0 && t->policies != NULL)
		add_line(d, "E\t%u\t%lld\n", t->policies->number, (long long)t->to);
}

static void
append(struct day *d)
{
	char name[64];
	int fd, bad;

	file_name(d->day, name);
	fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	bad = fd == -1 || file_write_all(fd, d->add, d->add_len) == -1;
	if (fd != -1)
		bad |= close(fd) == -1;
	if (bad) {
		log_warn("counts for TLS reports cannot be kept");
		d->lost = 1;
	}
	d->on_disk += d->add_len;
	d->add_len = 0;
}

static void
write_anew(struct day *d)
{
	char name[64];
	int fd, bad;

	d->add_len = 0;
	d->lost = 0;
	d->last_number = 0;
	for (struct tally *t = tally_first(); t != NULL; t = tally_next(t))
		if (t->day == d->day)
			add_tally(d, t);
	file_name(d->day, name);
	if (d->add_len == 0 && !d->lost) {
		if (unlink(name) == -1 && errno != ENOENT)
			log_warn("%s", name);
		free(d->add);
		memset(d, 0, sizeof(*d));
		return;
	}
	fd = open(DIRECTORY "/new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	bad = fd == -1 || file_write_all(fd, d->add, d->add_len) == -1 || fsync(fd) == -1;
	if (fd != -1)
		bad |= close(fd) == -1;
	/* The old one has other numbers: nothing more may be added to it. Nor does a part
	 * take its place. */
	if (bad || d->lost || rename(DIRECTORY "/new", name) == -1) {
		log_warn("counts for TLS reports cannot be kept");
		d->lost = 1;
	}
	d->on_disk = d->written_anew = d->add_len;
	d->add_len = 0;
}

void
tally_file_flush(void)
{
	for (size_t i = 0; i < DAYS_MAX; i++) {
		struct day *d = &days[i];
		size_t size = d->on_disk + d->add_len;

		if (d->day == 0 || (d->add_len == 0 && !d->lost))
			continue;
		if (d->lost || (size > ANEW_AT && size > 4 * d->written_anew))
			write_anew(d);
		else
			append(d);
	}
}

/* Where a day is reported in parts, since the administrator wanted one early. */
static int64_t
reported_until(int32_t day, const char *domain)
{
	for (size_t i = 0; i < PARTS_MAX; i++)
		if (parts[i].day == day && strcmp(parts[i].domain, domain) == 0)
			return parts[i].to;
	return 0;
}

static void
note_part(const struct tally *t)
{
	static size_t next;
	size_t at = next;

	for (size_t i = 0; i < PARTS_MAX; i++)
		if (parts[i].day == t->day && strcmp(parts[i].domain, t->domain) == 0)
			at = i;
	if (at == next)
		next = (next + 1) % PARTS_MAX;
	parts[at].day = t->day;
	parts[at].to = t->to;
	strlcpy(parts[at].domain, t->domain, sizeof(parts[at].domain));
}

int
tally_file_count(const struct tally_event *e, int64_t now)
{
	int32_t today = (int32_t)(now / DAY_S);
	struct day *d = day_get(today);
	bool new_tally, new_policy;
	struct tally_policy *p;

	/* The first of a day is for the whole of it; a later one, since the last report.
	 */
	p = tally_count(today, (int64_t)today * DAY_S, e, &new_tally, &new_policy);
	if (p == NULL)
		return -1;
	if (new_policy || p->number == 0) {
		if (new_tally && reported_until(today, e->domain) != 0)
			p->tally->since = reported_until(today, e->domain);
		add_policy(d, p);
	}
	add_count(d, p->number, e);
	return 0;
}

void
tally_file_close_tally(struct tally *t, int64_t to)
{
	tally_close(t, to);
	note_part(t);
	if (t->policies != NULL)
		add_line(
		    day_get(t->day), "E\t%u\t%lld\n", t->policies->number, (long long)to);
}

void
tally_file_done(struct tally *t)
{
	struct day *d = day_get(t->day);
	int32_t day = t->day;

	if (t->policies != NULL)
		add_line(d, "X\t%u\n", t->policies->number);
	tally_free(t);
	for (t = tally_first(); t != NULL; t = tally_next(t))
		if (t->day == day)
			return;
	d->lost = 1; /* nothing is left: the file goes */
	flush_soon();
}

/* ---- reading ---- */

void
tally_file_forget_numbers(void)
{
	free(numbers);
	numbers = NULL;
	n_numbers = 0;
}

static struct tally_policy **
number_at(const char *text, int make)
{
	const char *error;
	size_t n = (size_t)strtonum(text, 1, NUMBERS_MAX, &error);
	struct tally_policy **p;

	if (error != NULL)
		return NULL;
	if (n >= n_numbers) {
		size_t cap = n_numbers == 0 ? 256 : n_numbers;

		if (!make)
			return NULL;
		while (cap <= n)
			cap *= 2;
		if ((p = calloc(cap, sizeof(*p))) == NULL)
			return NULL;
		if (numbers != NULL)
			memcpy(p, numbers, n_numbers * sizeof(*p));
		free(numbers);
		numbers = p;
		n_numbers = cap;
	}
	return make || numbers[n] != NULL ? &numbers[n] : NULL;
}

static int
is_clean(const char *s, size_t max)
{
	size_t n = 0;

	for (; *s != '\0'; s++, n++)
		if (*s < ' ' || *s > '~')
			return 0;
	return n <= max;
}

static int
policy_line(int32_t day, char **f)
{
	struct tally_event e = {
		.domain = f[1], .policy_domain = f[4], .sts_mx = f[5], .strings = f[6]
	};
	struct tally_policy **at = number_at(f[0], 1);
	const char *error[2];
	struct tally_policy *p;
	struct tally *t;
	int64_t since;
	bool made;

	since = strtonum(f[2], 0, INT64_MAX / 2, &error[0]);
	e.policy = (uint8_t)strtonum(f[3], TLSRPT_TLSA, TLSRPT_NO_POLICY, &error[1]);
	if (at == NULL || *at != NULL || error[0] != NULL || error[1] != NULL ||
	    f[1][0] == '\0' || !is_clean(f[1], 255) || !is_clean(f[4], 255) ||
	    !is_clean(f[5], 2047) || !is_clean(f[6], TALLY_STRINGS_MAX) ||
	    (t = tally_get(day, f[1], since, &made)) == NULL)
		return -1;
	p = tally_policy_get(t, &e, &made);
	if (p == NULL && t->policies == NULL)
		tally_free(t);
	if (p == NULL || !made)
		return -1;
	p->number = (uint32_t)(at - numbers);
	*at = p;
	return 0;
}

static int
count_line(char **f)
{
	struct tally_policy **at = number_at(f[0], 0);
	struct tally_event e = {
		.sending_ip = f[3], .mx = f[4], .ip = f[5], .helo = f[6], .reason = f[7]
	};
	const char *error[2];

	e.result = (uint8_t)strtonum(f[1], 0, TLSRPT_RESULTS - 1, &error[0]);
	e.count = (uint64_t)strtonum(f[2], 1, INT32_MAX, &error[1]);
	if (at == NULL || error[0] != NULL || error[1] != NULL)
		return -1;
	for (int i = 3; i < 8; i++)
		if (!is_clean(f[i], TALLY_REASON_MAX))
			return -1;
	tally_policy_count(*at, &e);
	return 0;
}

static int
end_line(char **f)
{
	struct tally_policy **at = number_at(f[0], 0);
	const char *error;
	int64_t to = strtonum(f[1], 1, INT64_MAX / 2, &error);

	if (at == NULL || error != NULL)
		return -1;
	tally_close((*at)->tally, to);
	return 0;
}

static int
done_line(char **f)
{
	struct tally_policy **at = number_at(f[0], 0);
	struct tally *t;

	if (at == NULL)
		return -1;
	t = (*at)->tally;
	for (struct tally_policy *p = t->policies; p != NULL; p = p->next)
		numbers[p->number] = NULL;
	tally_free(t);
	return 0;
}

int
tally_file_line(int32_t day, char *line)
{
	char *f[10];
	int n = 0;

	for (char *p = line; p != NULL && n < 10;)
		f[n++] = strsep(&p, "\t");
	if (n == 8 && strcmp(f[0], "P") == 0)
		return policy_line(day, f + 1);
	if (n == 9 && strcmp(f[0], "C") == 0)
		return count_line(f + 1);
	if (n == 3 && strcmp(f[0], "E") == 0)
		return end_line(f + 1);
	if (n == 2 && strcmp(f[0], "X") == 0)
		return done_line(f + 1);
	return -1;
}

static void
read_day(int32_t day, const char *name)
{
	FILE *f = NULL;
	char *line = NULL;
	size_t cap = 0, total = 0;
	struct stat st;
	ssize_t n;
	int fd = open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd == -1 || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    (f = fdopen(fd, "r")) == NULL) {
		log_warn("%s", name);
		if (fd != -1)
			close(fd);
		return;
	}
	while ((n = getline(&line, &cap, f)) > 0 && total < FILE_MAX) {
		total += (size_t)n;
		if (line[n - 1] != '\n' || strlen(line) != (size_t)n)
			continue;
		line[n - 1] = '\0';
		(void)tally_file_line(day, line);
	}
	free(line);
	fclose(f);
	tally_file_forget_numbers();
}

static int
day_of(const char *name, int32_t *day)
{
	const char *error;
	long long n = strlen(name) == 8 ? strtonum(name, 20200101, 99991231, &error) : 0;
	struct date d;

	if (n == 0)
		return -1;
	*day =
	    (int32_t)date_to_days((int)(n / 10000), (int)(n / 100 % 100), (int)(n % 100));
	date_from_time((int64_t)*day * DAY_S, 0, &d);
	return d.year * 10000 + d.month * 100 + d.day == n ? 0 : -1;
}

void
tally_file_open(void)
{
	int32_t found[DAYS_MAX];
	struct dirent *de;
	size_t n = 0;
	char name[64];
	DIR *dir;

	if ((mkdir(DIRECTORY, 0700) == -1 && errno != EEXIST) ||
	    (dir = opendir(DIRECTORY)) == NULL) {
		log_warn("counts for TLS reports cannot be kept");
		return;
	}
	while ((de = readdir(dir)) != NULL && n < DAYS_MAX)
		if (day_of(de->d_name, &found[n]) == 0)
			n++;
	closedir(dir);
	for (size_t i = 0; i < n; i++) {
		file_name(found[i], name);
		read_day(found[i], name);
		/* Numbers are given anew with it. */
		write_anew(day_get(found[i]));
	}
}
