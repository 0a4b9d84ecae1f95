# frozen_string_literal: true

# Puma peer: every request runs on one of its threads.

NOTHING = -> {}
SLEEP = -> { sleep 0.05 }
SPIN = lambda do
  until_ns = Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID, :nanosecond) + 1_000_000
  nil while Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID, :nanosecond) < until_ns
end
WORK = { '/hello' => NOTHING, '/noop' => NOTHING, '/sleep' => SLEEP, '/spin' => SPIN }.freeze
HEADERS = { 'content-type' => 'text/plain', 'content-length' => '12' }.freeze

run(lambda do |env|
  WORK.fetch(env['PATH_INFO']).call
  [200, HEADERS.dup, ['Hello World!']]
end)
