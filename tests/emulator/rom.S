/* The boot ROM of the emulated machine: 64 KiB, from the reset vector in real
 * mode to 64-bit code at 0x100000 (monitor.c).
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Memory is mapped to itself in 2 MiB pages, 0 to 1 GiB, the first 2 MiB in
 * pages of 4 KiB without page 0, so that a null pointer faults. */
#define TABLES 0x10000 /* PML4, PDPT, PD, PT: 4 KiB each */
#define RAM 0x100000

        .text
        .code16
start16:
        cli
        in      $0x92, %al /* address line 20 */
        or      $2, %al
        and     $0xfe, %al
        out     %al, $0x92
        lgdtl   %cs:(gdtr - 0xf0000)
        mov     %cr0, %eax
        or      $1, %eax
        mov     %eax, %cr0
        ljmpl   $8, $start32

        .code32
start32:
        mov     $16, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        cld
        mov     $TABLES, %edi
        xor     %eax, %eax
        mov     $4096, %ecx
        rep stosl
        movl    $(TABLES + 0x1003), TABLES
        movl    $(TABLES + 0x2003), TABLES + 0x1000
        mov     $0x83, %eax /* present, writable, 2 MiB */
        mov     $(TABLES + 0x2000), %edi
1:      mov     %eax, (%edi)
        add     $0x200000, %eax
        add     $8, %edi
        cmp     $(TABLES + 0x3000), %edi
        jb      1b
        movl    $(TABLES + 0x3003), TABLES + 0x2000
        mov     $0x1003, %eax
        mov     $(TABLES + 0x3008), %edi
2:      mov     %eax, (%edi)
        add     $0x1000, %eax
        add     $8, %edi
        cmp     $(TABLES + 0x4000), %edi
        jb      2b

        mov     %cr4, %eax
        or      $0x20, %eax /* PAE */
        mov     %eax, %cr4
        mov     $TABLES, %eax
        mov     %eax, %cr3
        mov     $0xc0000080, %ecx /* EFER: LME and SCE */
        rdmsr
        or      $0x101, %eax
        wrmsr
        mov     %cr0, %eax
        and     $0x9fffffff, %eax /* caches on */
        or      $0x80000000, %eax
        mov     %eax, %cr0
        ljmp    $24, $start64

        .code64
start64:
        mov     $32, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     $RAM, %eax
        jmp     *%rax

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff /* 8: code, 32 bits */
        .quad   0x00cf93000000ffff /* 16: data */
        .quad   0x00af9b000000ffff /* 24: code, 64 bits */
        .quad   0x00cf93000000ffff /* 32: data; follows 24 for SYSCALL */
gdtr:   .word   . - gdt - 1
        .long   gdt

        .org    0xfff0
        .code16
        ljmp    $0xf000, $(start16 - 0xf0000)
        .org    0x10000
        .section .note.GNU-stack, "", @progbits
