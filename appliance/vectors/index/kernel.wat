;; Dot products of int8 rows with one query, scaled to floats. A row's numbers, raised by 128 to be 0 to 255, are cut in two nibbles: one plane
;; of the high ones, from which a coarse score comes at half the memory, and one of the low ones. 32 numbers of a plane are 16 bytes: the first
;; sixteen in the lower halves, the others in the upper ones. The query is bytes: a coarse one (rounded to 8 bits, signed), and an exact
;; one of 14 bits as 128 * high + low. `half` is the length of a row in one plane, a multiple of 16; the three strings of
;; the query are 2 * half long each and follow one another. `offset` takes the 128 off again: it is the same for all rows.
;;
;; Assembled by hand when it changes, with the npm package wabt (parseWat with {simd: true, relaxed_simd: true}, then toBinary); the
;; bytes are the base64 constant in kernel.ts, whose test holds them to plain JavaScript. The "relaxed" instruction is exact here on
;; every processor, because its second operand never exceeds 15.
(module
  (import "e" "m" (memory 1))
  (func $sum (param $v v128) (result i32)
    (i32.add
      (i32.add (i32x4.extract_lane 0 (local.get $v)) (i32x4.extract_lane 1 (local.get $v)))
      (i32.add (i32x4.extract_lane 2 (local.get $v)) (i32x4.extract_lane 3 (local.get $v)))))

  ;; out[i] = scales[i] * (factor * 16 * coarse query . high nibbles of row i + offset) for i in [0, n). n is a multiple of 4: four rows
  ;; share each load of the query.
  (func (export "coarse") (param $q i32) (param $scales i32) (param $high i32) (param $n i32) (param $half i32)
    (param $factor f32) (param $offset f32) (param $out i32)
    (local $end i32) (local $at i32) (local $a v128) (local $b v128) (local $v v128) (local $mask v128)
    (local $r1 i32) (local $r2 i32) (local $r3 i32)
    (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128)
    (if (i32.eqz (local.get $n)) (then (return)))
    (local.set $mask (i32x4.splat (i32.const 0x0f0f0f0f)))
    (local.set $factor (f32.mul (local.get $factor) (f32.const 16)))
    (local.set $end (i32.add (local.get $scales) (i32.shl (local.get $n) (i32.const 2))))
    (loop $four
      (local.set $r1 (i32.add (local.get $high) (local.get $half)))
      (local.set $r2 (i32.add (local.get $r1) (local.get $half)))
      (local.set $r3 (i32.add (local.get $r2) (local.get $half)))
      (local.set $s0 (v128.const i32x4 0 0 0 0))
      (local.set $s1 (v128.const i32x4 0 0 0 0))
      (local.set $s2 (v128.const i32x4 0 0 0 0))
      (local.set $s3 (v128.const i32x4 0 0 0 0))
      (local.set $at (i32.const 0))
      (loop $next
        (local.set $a (v128.load (i32.add (local.get $q) (i32.shl (local.get $at) (i32.const 1)))))
        (local.set $b (v128.load offset=16 (i32.add (local.get $q) (i32.shl (local.get $at) (i32.const 1)))))
        (local.set $v (v128.load (i32.add (local.get $high) (local.get $at))))
        (local.set $s0 (i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get $a) (v128.and (local.get $v) (local.get $mask))
          (i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get $b)
            (v128.and (i16x8.shr_u (local.get $v) (i32.const 4)) (local.get $mask)) (local.get $s0))))
        (local.set $v (v128.load (i32.add (local.get $r1) (local.get $at))))
        (local.set $s1 (i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get $a) (v128.and (local.get $v) (local.get $mask))
          (i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get $b)
            (v128.and (i16x8.shr_u (local.get $v) (i32.const 4)) (local.get $mask)) (local.get $s1))))
        (local.set $v (v128.load (i32.add (local.get $r2) (local.get $at))))
        (local.set $s2 (i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get $a) (v128.and (local.get $v) (local.get $mask))
          (i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get $b)
            (v128.and (i16x8.shr_u (local.get $v) (i32.const 4)) (local.get $mask)) (local.get $s2))))
        (local.set $v (v128.load (i32.add (local.get $r3) (local.get $at))))
        (local.set $s3 (i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get $a) (v128.and (local.get $v) (local.get $mask))
          (i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get $b)
            (v128.and (i16x8.shr_u (local.get $v) (i32.const 4)) (local.get $mask)) (local.get $s3))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br_if $next (i32.lt_u (local.get $at) (local.get $half))))
      (f32.store offset=0 (local.get $out) (f32.mul (f32.load offset=0 (local.get $scales)) (f32.add (local.get $offset)
        (f32.mul (local.get $factor) (f32.convert_i32_s (call $sum (local.get $s0)))))))
      (f32.store offset=4 (local.get $out) (f32.mul (f32.load offset=4 (local.get $scales)) (f32.add (local.get $offset)
        (f32.mul (local.get $factor) (f32.convert_i32_s (call $sum (local.get $s1)))))))
      (f32.store offset=8 (local.get $out) (f32.mul (f32.load offset=8 (local.get $scales)) (f32.add (local.get $offset)
        (f32.mul (local.get $factor) (f32.convert_i32_s (call $sum (local.get $s2)))))))
      (f32.store offset=12 (local.get $out) (f32.mul (f32.load offset=12 (local.get $scales)) (f32.add (local.get $offset)
        (f32.mul (local.get $factor) (f32.convert_i32_s (call $sum (local.get $s3)))))))
      (local.set $out (i32.add (local.get $out) (i32.const 16)))
      (local.set $high (i32.add (local.get $r3) (local.get $half)))
      (local.set $scales (i32.add (local.get $scales) (i32.const 16)))
      (br_if $four (i32.lt_u (local.get $scales) (local.get $end)))))

  ;; scale * (exact query . row + offset), the sum exact in 64 bits
  (func $exact (param $q i32) (param $scale f32) (param $high i32) (param $low i32) (param $half i32) (param $offset f64)
    (result f32)
    (local $at i32) (local $p i32) (local $mask v128) (local $v v128) (local $w v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128) (local $n v128)
    (local.set $mask (i32x4.splat (i32.const 0x0f0f0f0f)))
    (local.set $p (i32.add (local.get $q) (i32.shl (local.get $half) (i32.const 1))))
    (local.set $q (i32.add (local.get $p) (i32.shl (local.get $half) (i32.const 1))))
    (loop $next
      (local.set $v (v128.load (i32.add (local.get $high) (local.get $at))))
      (local.set $w (v128.load (i32.add (local.get $low) (local.get $at))))
      (local.set $n (v128.and (local.get $v) (local.get $mask)))
      (local.set $a (i32x4.relaxed_dot_i8x16_i7x16_add_s (v128.load (local.get $p)) (local.get $n) (local.get $a)))
      (local.set $b (i32x4.relaxed_dot_i8x16_i7x16_add_s (v128.load (local.get $q)) (local.get $n) (local.get $b)))
      (local.set $n (v128.and (i16x8.shr_u (local.get $v) (i32.const 4)) (local.get $mask)))
      (local.set $a (i32x4.relaxed_dot_i8x16_i7x16_add_s (v128.load offset=16 (local.get $p)) (local.get $n) (local.get $a)))
      (local.set $b (i32x4.relaxed_dot_i8x16_i7x16_add_s (v128.load offset=16 (local.get $q)) (local.get $n) (local.get $b)))
      (local.set $n (v128.and (local.get $w) (local.get $mask)))
      (local.set $c (i32x4.relaxed_dot_i8x16_i7x16_add_s (v128.load (local.get $p)) (local.get $n) (local.get $c)))
      (local.set $d (i32x4.relaxed_dot_i8x16_i7x16_add_s (v128.load (local.get $q)) (local.get $n) (local.get $d)))
      (local.set $n (v128.and (i16x8.shr_u (local.get $w) (i32.const 4)) (local.get $mask)))
      (local.set $c (i32x4.relaxed_dot_i8x16_i7x16_add_s (v128.load offset=16 (local.get $p)) (local.get $n) (local.get $c)))
      (local.set $d (i32x4.relaxed_dot_i8x16_i7x16_add_s (v128.load offset=16 (local.get $q)) (local.get $n) (local.get $d)))
      (local.set $p (i32.add (local.get $p) (i32.const 32)))
      (local.set $q (i32.add (local.get $q) (i32.const 32)))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $half))))
    ;; 128 * (16 * a + c) + (16 * b + d)
    (f32.demote_f64 (f64.mul (f64.promote_f32 (local.get $scale)) (f64.add (local.get $offset) (f64.add
      (f64.mul (f64.const 128) (f64.convert_i32_s
        (i32.add (i32.shl (call $sum (local.get $a)) (i32.const 4)) (call $sum (local.get $c)))))
      (f64.convert_i32_s (i32.add (i32.shl (call $sum (local.get $b)) (i32.const 4)) (call $sum (local.get $d)))))))))

  ;; out[i] = the exact score of row i for i in [0, n)
  (func (export "scan") (param $q i32) (param $scales i32) (param $high i32) (param $low i32) (param $n i32) (param $half i32)
    (param $offset f64) (param $out i32)
    (local $end i32)
    (if (i32.eqz (local.get $n)) (then (return)))
    (local.set $end (i32.add (local.get $scales) (i32.shl (local.get $n) (i32.const 2))))
    (loop $one
      (f32.store (local.get $out) (call $exact (local.get $q) (f32.load (local.get $scales)) (local.get $high)
        (local.get $low) (local.get $half) (local.get $offset)))
      (local.set $out (i32.add (local.get $out) (i32.const 4)))
      (local.set $high (i32.add (local.get $high) (local.get $half)))
      (local.set $low (i32.add (local.get $low) (local.get $half)))
      (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
      (br_if $one (i32.lt_u (local.get $scales) (local.get $end)))))

  ;; out[i] = the exact score of row list[i] for i in [0, n)
  (func (export "pick") (param $q i32) (param $scales i32) (param $high i32) (param $low i32) (param $list i32) (param $n i32)
    (param $half i32) (param $offset f64) (param $out i32)
    (local $end i32) (local $i i32) (local $row i32)
    (if (i32.eqz (local.get $n)) (then (return)))
    (local.set $end (i32.add (local.get $list) (i32.shl (local.get $n) (i32.const 2))))
    (loop $one
      (local.set $i (i32.load (local.get $list)))
      (local.set $row (i32.mul (local.get $i) (local.get $half)))
      (f32.store (local.get $out) (call $exact (local.get $q)
        (f32.load (i32.add (local.get $scales) (i32.shl (local.get $i) (i32.const 2))))
        (i32.add (local.get $high) (local.get $row)) (i32.add (local.get $low) (local.get $row))
        (local.get $half) (local.get $offset)))
      (local.set $out (i32.add (local.get $out) (i32.const 4)))
      (local.set $list (i32.add (local.get $list) (i32.const 4)))
      (br_if $one (i32.lt_u (local.get $list) (local.get $end)))))

  ;; Writes to list those i in [0, n) whose scores[i] >= cut, ascending, and answers how many; n is a multiple of 4.
  (func (export "above") (param $scores i32) (param $n i32) (param $cut f32) (param $list i32) (result i32)
    (local $i i32) (local $bits i32) (local $from i32) (local $cuts v128)
    (local.set $from (local.get $list))
    (local.set $cuts (f32x4.splat (local.get $cut)))
    (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
    (loop $four
      (local.set $bits (i32x4.bitmask (f32x4.ge (v128.load (local.get $scores)) (local.get $cuts))))
      (if (local.get $bits) (then
        (loop $bit
          (i32.store (local.get $list) (i32.add (local.get $i) (i32.ctz (local.get $bits))))
          (local.set $list (i32.add (local.get $list) (i32.const 4)))
          (local.set $bits (i32.and (local.get $bits) (i32.sub (local.get $bits) (i32.const 1))))
          (br_if $bit (local.get $bits)))))
      (local.set $scores (i32.add (local.get $scores) (i32.const 16)))
      (local.set $i (i32.add (local.get $i) (i32.const 4)))
      (br_if $four (i32.lt_u (local.get $i) (local.get $n))))
    (i32.shr_u (i32.sub (local.get $list) (local.get $from)) (i32.const 2))))
