/* SPDX-License-Identifier: ISC */
#ifndef FIFE_PREFIX_H
#define FIFE_PREFIX_H

/*
 * What final delivery puts before a message (RFC 5321, 4.4), and whether the message
 * has been in that mailbox already: the field Delivered-To, by which delivery loops
 * that pass through other hosts are found. No I/O but pread(2) in delivered_to_read().
 */

#include <stddef.h>
#include <stdint.h>

#include "deliverd/local/outcome.h"

#define PREFIX_MAX 8192                /* octets, the bound of struct msg_deliver */
#define PREFIX_HEADER_MAX (256 * 1024) /* octets of the content looked at for a loop */
#define PREFIX_DELIVERED_TO_MAX 200    /* fields; with more of them it is a loop */

/*
 * "Return-Path: <sender>" and "Delivered-To: address", each with CRLF, and then rest
 * (the fields that smtpd made). Controls in either address become "?". What does
 * not fit cap is left out from rest's end, field by field. Returns the length, at
 * most cap; 0 when not even the own fields fit.
 */
size_t prefix_build(uint8_t *buf, size_t cap, const char *sender, const char *address,
    const uint8_t *rest, size_t rest_len);

/*
 * The printed form of an address that may be a key (address_fold_key()), whose local
 * part has no quotes. Copies what is neither.
 */
void prefix_address(const char *s, char *out, size_t cap);

/* The keys of the addresses in the fields Delivered-To of a message. */
struct delivered_to {
	char **keys;
	size_t n;
	int too_many;
	int looked; /* delivered_to_loop() has read the message */
};

/* Of len octets that are the start of a message, or all of it. 0, or -1: no memory.
 * To be cleared in either case. */
int delivered_to_parse(struct delivered_to *, const char *buf, size_t len);
/* Of the first size octets of fd. 0, or -1: it cannot be read (errno). */
int delivered_to_read(struct delivered_to *, int fd, uint64_t size);
/* Nonzero: the message has been delivered to that address before. */
int delivered_to_has(const struct delivered_to *, const char *address);
/* 1: it has, or that cannot be known now: o says so. It is read once. */
int delivered_to_loop(
    struct delivered_to *, int fd, uint64_t size, const char *address, struct outcome *o);
void delivered_to_clear(struct delivered_to *);

#endif
