/* SPDX-License-Identifier: MIT */
/*
 * A guest of one sector.  The BIOS loads it from the disk it boots from; it reads
 * SECTORS sectors from FROM on, writes their complement from TO on, reads that
 * back, and says on the serial line what it saw.  It leaves by the debug port:
 * the emulator's exit status is 2 * code + 1.
 */
	.code16
	.equ FROM, 8
	.equ TO, 1024
	.equ SECTORS, 64
	.equ BUFFER, 0x1000     /* segment: at 64 KiB */
	.equ COPY, 0x2000       /* at 128 KiB */
	.equ WORDS, SECTORS * 512 / 2
	.equ COM1, 0x3f8
	.equ DEBUG_EXIT, 0x501

	.globl _start
_start:
	ljmp $0, $1f
1:	cli
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw $0x7c00, %sp
	sti
	movb %dl, drive
	movw $hello, %si
	call say

	/* read */
	movw $BUFFER, packet + 6
	movl $FROM, packet + 8
	movb $0x42, %ah
	call disk
	movw $was_read, %si
	call say

	/* complement */
	movw $BUFFER, %ax
	movw %ax, %es
	xorw %di, %di
	movw $WORDS, %cx
2:	notw %es:(%di)
	addw $2, %di
	loop 2b

	/* write */
	movl $TO, packet + 8
	movb $0x43, %ah
	call disk
	movw $was_written, %si
	call say

	/* read it back elsewhere, and compare */
	movw $COPY, packet + 6
	movb $0x42, %ah
	call disk
	movw $BUFFER, %ax
	movw %ax, %ds
	movw $COPY, %ax
	movw %ax, %es
	xorw %si, %si
	xorw %di, %di
	movw $WORDS, %cx
	cld
	repe cmpsw
	movw $0, %ax
	movw %ax, %ds
	jne fail
	movw $was_same, %si
	call say
	movb $0, %al
	jmp leave

fail:
	movw $failed, %si
	call say
	movb $1, %al
leave:
	movw $DEBUG_EXIT, %dx
	outb %al, %dx
3:	hlt
	jmp 3b

/* function %ah of the extended disk services on @packet */
disk:
	xorb %al, %al
	movb drive, %dl
	movw $SECTORS, packet + 2
	movw $packet, %si
	int $0x13
	jc fail
	ret

/* the text at %si, to the serial line */
say:
	lodsb
	testb %al, %al
	jz 5f
	movb %al, %bl
	movw $COM1 + 5, %dx
4:	inb %dx, %al
	testb $0x20, %al
	jz 4b
	movw $COM1, %dx
	movb %bl, %al
	outb %al, %dx
	jmp say
5:	ret

drive:	.byte 0
	.balign 4
packet:
	.byte 16, 0
	.word SECTORS
	.word 0, BUFFER         /* offset, segment */
	.quad 0
hello:	.asciz "guest: up\n"
was_read: .asciz "guest: read\n"
was_written: .asciz "guest: written\n"
was_same: .asciz "guest: same\n"
failed:	.asciz "guest: FAILED\n"

	.org 510
	.word 0xaa55
