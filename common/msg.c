/* SPDX-License-Identifier: ISC */
/*
 * The message catalogue: encoders, decoders and the table, all made from
 * payload.def and msg.def. A decoder knows both bounds: what is left in the
 * message and the room in the struct. None of them exits, logs or allocates.
 */
#include "common/msg.h"

#include <string.h>

static int
put_str(struct ibuf *b, const char *s, size_t max)
{
	size_t len = strnlen(s, max + 1);

	if (len > max || len > UINT16_MAX)
		return -1;
	if (ibuf_add_n16(b, len) == -1)
		return -1;
	return ibuf_add(b, s, len);
}

static int
get_str(struct ibuf *b, char *s, size_t max)
{
	uint16_t len;

	if (ibuf_get_n16(b, &len) == -1 || len > max)
		return -1;
	if (ibuf_get(b, s, len) == -1 || memchr(s, '\0', len) != NULL)
		return -1;
	s[len] = '\0';
	return 0;
}

static int
put_bytes(struct ibuf *b, const uint8_t *p, size_t len, size_t max)
{
	if (len > max || len > UINT16_MAX)
		return -1;
	if (ibuf_add_n16(b, len) == -1)
		return -1;
	return len == 0 ? 0 : ibuf_add(b, p, len);
}

static int
get_bytes(struct ibuf *b, const uint8_t **p, size_t *plen, size_t max)
{
	struct ibuf part;
	uint16_t len;

	if (ibuf_get_n16(b, &len) == -1 || len > max)
		return -1;
	if (ibuf_get_ibuf(b, len, &part) == -1)
		return -1;
	*p = ibuf_data(&part);
	*plen = len;
	return 0;
}

#define PUT(e)         \
	if ((e) == -1) \
		return -1;
#define F_U8(n) PUT(ibuf_add_n8(b, p->n))
#define F_U16(n) PUT(ibuf_add_n16(b, p->n))
#define F_U32(n) PUT(ibuf_add_n32(b, p->n))
#define F_U64(n) PUT(ibuf_add_n64(b, p->n))
#define F_I64(n) PUT(ibuf_add_n64(b, (uint64_t)p->n))
#define F_STR(n, max) PUT(put_str(b, p->n, max))
#define F_BYTES(n, max) PUT(put_bytes(b, p->n, p->n##_len, max))
#define PAYLOAD(name, fields)                                               \
	int msg_##name##_encode(const struct msg_##name *p, struct ibuf *b) \
	{                                                                   \
		(void)p;                                                    \
		(void)b;                                                    \
		fields return 0;                                            \
	}                                                                   \
	static int name##_encode(const void *p, struct ibuf *b)             \
	{                                                                   \
		return msg_##name##_encode(p, b);                           \
	}
#include "common/payload.def"
#undef PAYLOAD
#undef F_U8
#undef F_U16
#undef F_U32
#undef F_U64
#undef F_I64
#undef F_STR
#undef F_BYTES

#define F_U8(n) PUT(ibuf_get_n8(b, &p->n))
#define F_U16(n) PUT(ibuf_get_n16(b, &p->n))
#define F_U32(n) PUT(ibuf_get_n32(b, &p->n))
#define F_U64(n) PUT(ibuf_get_n64(b, &p->n))
#define F_I64(n)                         \
	{                                \
		uint64_t v;              \
		PUT(ibuf_get_n64(b, &v)) \
		p->n = (int64_t)v;       \
	}
#define F_STR(n, max) PUT(get_str(b, p->n, max))
#define F_BYTES(n, max) PUT(get_bytes(b, &p->n, &p->n##_len, max))
#define PAYLOAD(name, fields)                                         \
	int msg_##name##_decode(struct ibuf *b, struct msg_##name *p) \
	{                                                             \
		(void)p;                                              \
		fields return ibuf_size(b) == 0 ? 0 : -1;             \
	}                                                             \
	static int name##_decode(struct ibuf *b, void *p)             \
	{                                                             \
		return msg_##name##_decode(b, p);                     \
	}
#include "common/payload.def"
#undef PAYLOAD

#define R(x) ROLE_BIT(ROLE_##x)
#define R_ANY (~0u)
#define R_FRONT (R(SMTPD) | R(IMAPD) | R(POP3D) | R(SIEVED))
#define R_DELIVERD (R(DELIVERD_REMOTE) | R(DELIVERD_LOCAL))
#define R_DAEMON (R_ANY & ~(R(FIFED) | R(MAILBOX) | R(FIFECTL) | R(AUTHD_WORKER)))
#define R_CTL (R_DAEMON | R(FIFED))
#define F_FD MSG_F_FD
#define F_FDOPT MSG_F_FDOPT
#define F_ANSWER MSG_F_ANSWER
#define F_PART MSG_F_PART
#define F_HELLO MSG_F_HELLO

static const struct msg_info catalogue[] = {
#define MSG(num, name, from, to, payload, flags)                                  \
	{ MSG_##name, #name, from, to, flags, payload##_encode, payload##_decode, \
		sizeof(struct msg_##payload) },
#include "common/msg.def"
#undef MSG
};

const struct msg_info *
msg_info_at(size_t i)
{
	return i < sizeof(catalogue) / sizeof(catalogue[0]) ? &catalogue[i] : NULL;
}

const struct msg_info *
msg_info(uint32_t type)
{
	size_t lo = 0, hi = sizeof(catalogue) / sizeof(catalogue[0]);

	/* msg.def is in order of numbers; a test checks that. */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if ((uint32_t)catalogue[mid].type == type)
			return &catalogue[mid];
		if ((uint32_t)catalogue[mid].type < type)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

int
msg_answers(enum msg_type request, enum msg_type answer)
{
	const struct msg_info *end = catalogue + sizeof(catalogue) / sizeof(catalogue[0]);
	const struct msg_info *i = msg_info(request);

	if (i == NULL || i->flags & MSG_F_ANSWER)
		return 0;
	while (i < end && !(i->flags & MSG_F_ANSWER))
		i++;
	for (; i < end && i->flags & MSG_F_ANSWER; i++)
		if (i->type == answer)
			return 1;
	return 0;
}

const char *
msg_name(uint32_t type)
{
	const struct msg_info *info = msg_info(type);

	return info == NULL ? "unknown" : info->name;
}

int
msg_decode(uint32_t type, struct ibuf *b, struct msg *m)
{
	const struct msg_info *info = msg_info(type);

	if (info == NULL || ibuf_get_n64(b, &m->id) == -1)
		return -1;
	m->type = info->type;
	return info->decode(b, &m->p);
}

int
msg_encode(enum msg_type type, uint64_t id, const void *payload, struct ibuf *b)
{
	const struct msg_info *info = msg_info(type);

	if (info == NULL || ibuf_add_n64(b, id) == -1)
		return -1;
	return info->encode(payload, b);
}

int
msg_take_fd(struct msg *m)
{
	int fd = m->fd;

	m->fd = -1;
	return fd;
}
