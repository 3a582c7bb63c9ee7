;; Dot products of int8 rows with one int16 query, scaled to floats. Rows are `bytes` long, a multiple of 32.
;; Assembled by hand when it changes, with the npm package wabt (parseWat with {simd: true}, then toBinary); the bytes are the
;; base64 constant in kernel.ts, which checks them against plain JavaScript in its test.
(module
  (import "e" "m" (memory 1))
  (func $dot (param $q i32) (param $row i32) (param $bytes i32) (result i32)
    (local $end i32) (local $v v128) (local $w v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local.set $end (i32.add (local.get $row) (local.get $bytes)))
    (loop $next
      (local.set $v (v128.load (local.get $row)))
      (local.set $w (v128.load offset=16 (local.get $row)))
      (local.set $a (i32x4.add (local.get $a)
        (i32x4.dot_i16x8_s (i16x8.extend_low_i8x16_s (local.get $v)) (v128.load (local.get $q)))))
      (local.set $b (i32x4.add (local.get $b)
        (i32x4.dot_i16x8_s (i16x8.extend_high_i8x16_s (local.get $v)) (v128.load offset=16 (local.get $q)))))
      (local.set $c (i32x4.add (local.get $c)
        (i32x4.dot_i16x8_s (i16x8.extend_low_i8x16_s (local.get $w)) (v128.load offset=32 (local.get $q)))))
      (local.set $d (i32x4.add (local.get $d)
        (i32x4.dot_i16x8_s (i16x8.extend_high_i8x16_s (local.get $w)) (v128.load offset=48 (local.get $q)))))
      (local.set $q (i32.add (local.get $q) (i32.const 64)))
      (local.set $row (i32.add (local.get $row) (i32.const 32)))
      (br_if $next (i32.lt_u (local.get $row) (local.get $end))))
    (local.set $a (i32x4.add (i32x4.add (local.get $a) (local.get $b)) (i32x4.add (local.get $c) (local.get $d))))
    (i32.add
      (i32.add (i32x4.extract_lane 0 (local.get $a)) (i32x4.extract_lane 1 (local.get $a)))
      (i32.add (i32x4.extract_lane 2 (local.get $a)) (i32x4.extract_lane 3 (local.get $a)))))

  ;; out[i] = scales[i] * dot(query, rows[i]) for i in [0, n)
  (func (export "scan") (param $q i32) (param $scales i32) (param $rows i32) (param $n i32) (param $bytes i32) (param $out i32)
    (local $end i32)
    (if (i32.eqz (local.get $n)) (then (return)))
    (local.set $end (i32.add (local.get $scales) (i32.shl (local.get $n) (i32.const 2))))
    (loop $next
      (f32.store (local.get $out) (f32.mul
        (f32.load (local.get $scales))
        (f32.convert_i32_s (call $dot (local.get $q) (local.get $rows) (local.get $bytes)))))
      (local.set $out (i32.add (local.get $out) (i32.const 4)))
      (local.set $rows (i32.add (local.get $rows) (local.get $bytes)))
      (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
      (br_if $next (i32.lt_u (local.get $scales) (local.get $end)))))

  ;; out[i] = scales[list[i]] * dot(query, rows[list[i]]) for i in [0, n)
  (func (export "pick") (param $q i32) (param $scales i32) (param $rows i32) (param $list i32) (param $n i32) (param $bytes i32)
    (param $out i32)
    (local $end i32) (local $i i32)
    (if (i32.eqz (local.get $n)) (then (return)))
    (local.set $end (i32.add (local.get $list) (i32.shl (local.get $n) (i32.const 2))))
    (loop $next
      (local.set $i (i32.load (local.get $list)))
      (f32.store (local.get $out) (f32.mul
        (f32.load (i32.add (local.get $scales) (i32.shl (local.get $i) (i32.const 2))))
        (f32.convert_i32_s (call $dot (local.get $q)
          (i32.add (local.get $rows) (i32.mul (local.get $i) (local.get $bytes))) (local.get $bytes)))))
      (local.set $out (i32.add (local.get $out) (i32.const 4)))
      (local.set $list (i32.add (local.get $list) (i32.const 4)))
      (br_if $next (i32.lt_u (local.get $list) (local.get $end))))))
