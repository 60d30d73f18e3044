/* Entries to the monitor: start, exceptions, system calls.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
        .section .text.start, "ax"
        .globl  _start
_start:
        lea     stack_top(%rip), %rsp
        cld
        call    monitor_main
        hlt

        .text
/* rsp, rip: starts a program. */
        .globl  enter_program
enter_program:
        mov     %rdi, %rsp
        xor     %edx, %edx
        xor     %ebp, %ebp
        jmp     *%rsi

/* The program runs at privilege 0 as the monitor does, so SYSCALL leaves the
 * stack as it is: the monitor has its own, the program's red zone stays. */
        .globl  system_call_entry
system_call_entry:
        mov     %rsp, program_stack(%rip)
        lea     stack_top(%rip), %rsp
        push    %rcx /* where to return */
        push    %r11 /* flags */
        push    %rdi
        push    %rsi
        push    %rdx
        push    %r8
        push    %r9
        push    %r10
        push    %r9
        push    %r9 /* 7th argument */
        mov     %r8, %r9
        mov     %r10, %r8
        mov     %rdx, %rcx
        mov     %rsi, %rdx
        mov     %rdi, %rsi
        mov     %rax, %rdi
        cld
        call    monitor_system_call
        add     $16, %rsp
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rdx
        pop     %rsi
        pop     %rdi
        popfq
        pop     %rcx
        mov     program_stack(%rip), %rsp
        jmp     *%rcx

/* Exceptions end the program. */
        .macro  entry vector
        .balign 16
        push    $\vector
        jmp     exception
        .endm
        .balign 16
        .globl  exception_entries
exception_entries:
        .set    i, 0
        .rept   32
        entry   i
        .set    i, i + 1
        .endr
exception:
        mov     %rsp, %rdi
        lea     stack_top(%rip), %rsp
        cld
        call    monitor_exception

        .bss
        .balign 64
        .skip   65536
stack_top:
program_stack:
        .quad   0
        .section .note.GNU-stack, "", @progbits
