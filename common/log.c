/* SPDX-License-Identifier: ISC */
/*
 * Facts and lines on their way to logd. The text is finished here, so that logd
 * only writes; a full or absent logd never blocks: lines are kept up to
 * a bound, dropped beyond it, and the number of dropped ones is told later.
 */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/compat/compat.h"

#define LINE_MAX_LEN 3000
#define KEEP_MAX 256 /* lines kept while there is no logd */
#define QUEUE_MAX (1024 * 1024)

static const char *log_name = "fife";
static int log_debugging;
static int log_to_stderr = 1;
static struct channel *log_channel;
static void (*log_wanted)(void);
static void (*log_sink)(enum log_kind, enum log_level, int64_t, const char *);
static struct msg_log_line *kept[KEEP_MAX];
static size_t n_kept;
static uint64_t n_dropped;
static uint32_t log_pid;

void
log_init(const char *name, int debug)
{
	log_name = name;
	log_debugging = debug;
	log_pid = (uint32_t)getpid();
	while (n_kept > 0)
		free(kept[--n_kept]);
}

void
log_set_wanted(void (*wanted)(void))
{
	log_wanted = wanted;
	if (n_kept > 0 && wanted != NULL)
		wanted();
}

void
log_set_stderr(int on)
{
	log_to_stderr = on;
}

void
log_set_sink(void (*sink)(enum log_kind, enum log_level, int64_t, const char *))
{
	log_sink = sink;
}

static int
send_line(const struct msg_log_line *line)
{
	struct msg_log_dropped d = { .count = n_dropped };

	if (channel_queued(log_channel) > QUEUE_MAX)
		return -1;
	if (n_dropped != 0 &&
	    channel_send(log_channel, MSG_ANY_LOGD_DROPPED, 0, &d, -1) == 0)
		n_dropped = 0;
	return channel_send(log_channel, MSG_ANY_LOGD_LINE, 0, line, -1);
}

void
log_set_channel(struct channel *ch)
{
	log_channel = ch;
	if (ch == NULL)
		return;
	log_to_stderr = 0;
	(void)channel_set_lazy(ch, LOG_LAZY_MS);
	for (size_t i = 0; i < n_kept; i++) {
		if (send_line(kept[i]) == -1)
			n_dropped++;
		free(kept[i]);
	}
	n_kept = 0;
	if (n_dropped != 0) {
		struct msg_log_dropped d = { .count = n_dropped };

		if (channel_send(ch, MSG_ANY_LOGD_DROPPED, 0, &d, -1) == 0)
			n_dropped = 0;
	}
}

static void
to_stderr(enum log_level level, const char *text)
{
	static const char *const words[] = { "error", "warning", "info", "debug" };

	fprintf(stderr, "%s: %s: %s\n", log_name, words[level], text);
}

void
log_spill(void)
{
	for (size_t i = 0; i < n_kept; i++) {
		to_stderr((enum log_level)kept[i]->level, kept[i]->text);
		free(kept[i]);
	}
	n_kept = 0;
}

static void
emit(enum log_kind kind, enum log_level level, const char *text)
{
	struct msg_log_line line;
	struct timespec ts;

	if (level == LOGL_DEBUG && !log_debugging)
		return;
	if (log_pid == 0)
		log_pid = (uint32_t)getpid();
	clock_gettime(CLOCK_REALTIME, &ts);
	line.kind = kind;
	line.level = level;
	line.pid = log_pid;
	line.time_us = (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
	if (log_to_stderr && level <= LOGL_INFO)
		to_stderr(level, text);
	strlcpy(line.text, text, sizeof(line.text));
	if (log_sink != NULL) {
		log_sink(kind, level, line.time_us, line.text);
		return;
	}
	if (log_channel != NULL) {
		if (send_line(&line) == -1)
			n_dropped++;
		else if (level <= LOGL_WARN || log_debugging)
			channel_hurry(log_channel);
		return;
	}
	if (n_kept < KEEP_MAX && (kept[n_kept] = malloc(sizeof(line))) != NULL)
		memcpy(kept[n_kept++], &line, sizeof(line));
	else
		n_dropped++;
	if (log_wanted != NULL)
		log_wanted();
}

static size_t
put_octet(char *buf, size_t len, size_t cap, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	if (c >= 0x20 && c != 0x7f && c != '"' && c != '\\') {
		if (len + 1 < cap)
			buf[len++] = (char)c;
		return len;
	}
	if (len + 4 >= cap)
		return len;
	buf[len++] = '\\';
	if (c == '"' || c == '\\') {
		buf[len++] = (char)c;
		return len;
	}
	buf[len++] = 'x';
	buf[len++] = hex[c >> 4];
	buf[len++] = hex[c & 15];
	return len;
}

size_t
log_escape(char *buf, size_t len, size_t cap, const char *src)
{
	int quote = *src == '\0';

	for (const char *p = src; !quote && *p != '\0'; p++)
		quote = (unsigned char)*p <= ' ' || *p == '=' || *p == '"' ||
			*p == '\\' || *p == 0x7f;
	if (quote && len + 1 < cap)
		buf[len++] = '"';
	/* C1 controls and broken UTF-8 pass as octets; the reader shows them. */
	for (; *src != '\0'; src++)
		len = put_octet(buf, len, cap - 1, (unsigned char)*src);
	if (quote && len + 1 < cap)
		buf[len++] = '"';
	buf[len] = '\0';
	return len;
}

/* In decimal; there is room for 20 digits. Every fact has some, so no printf. */
static size_t
put_number(char *buf, size_t len, uint64_t n)
{
	char digits[20];
	size_t i = sizeof(digits);

	do
		digits[--i] = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	memcpy(buf + len, digits + i, sizeof(digits) - i);
	return len + sizeof(digits) - i;
}

void
log_fact_array(
    enum log_kind kind, enum log_level level, const char *event, const struct log_kv *kv)
{
	char text[LINE_MAX_LEN];
	size_t len;

	if (level == LOGL_DEBUG && !log_debugging)
		return;
	len = strlcpy(text, event, sizeof(text));
	for (; kv->key != NULL && len + 64 < sizeof(text); kv++) {
		size_t key_len = strlen(kv->key);

		if (key_len + 32 >= sizeof(text) - len)
			break;
		text[len++] = ' ';
		memcpy(text + len, kv->key, key_len);
		len += key_len;
		text[len++] = '=';
		if (kv->str == NULL)
			len = put_number(text, len, kv->num);
		else
			len = log_escape(text, len, sizeof(text), kv->str);
	}
	text[len < sizeof(text) ? len : sizeof(text) - 1] = '\0';
	emit(kind, level, text);
}

static void
emit_format(enum log_level level, int err, const char *fmt, va_list ap)
{
	char raw[LINE_MAX_LEN / 2], text[LINE_MAX_LEN];
	size_t len = 0;

	vsnprintf(raw, sizeof(raw), fmt, ap);
	if (err != 0) {
		strlcat(raw, ": ", sizeof(raw));
		strlcat(raw, strerror(err), sizeof(raw));
	}
	for (const char *p = raw; *p != '\0'; p++)
		len = *p == '"' && len + 1 < sizeof(text)
			  ? (text[len] = '"', len + 1)
			  : put_octet(text, len, sizeof(text) - 1, (unsigned char)*p);
	text[len] = '\0';
	emit(LOG_HOST, level, text);
}

#define FORMAT(level, err)                \
	va_list ap;                       \
	va_start(ap, fmt);                \
	emit_format(level, err, fmt, ap); \
	va_end(ap)

void
log_warn(const char *fmt, ...)
{
	int err = errno;
	FORMAT(LOGL_WARN, err);
	errno = err;
}

void
log_warnx(const char *fmt, ...)
{
	FORMAT(LOGL_WARN, 0);
}

void
log_info(const char *fmt, ...)
{
	FORMAT(LOGL_INFO, 0);
}

void
log_debug(const char *fmt, ...)
{
	FORMAT(LOGL_DEBUG, 0);
}

static void
last_words(void)
{
	if (log_channel != NULL)
		channel_flush(log_channel, 200);
}

void
fatal(const char *fmt, ...)
{
	int err = errno;

	log_to_stderr = 1;
	FORMAT(LOGL_ERROR, err);
	last_words();
	exit(1);
}

void
fatalx(const char *fmt, ...)
{
	log_to_stderr = 1;
	FORMAT(LOGL_ERROR, 0);
	last_words();
	exit(1);
}
