# frozen_string_literal: true

# Puma's settings; what it runs is config.ru.

size = Integer(ENV.fetch('THREADS'))
threads size, size
bind "tcp://127.0.0.1:#{ENV.fetch('PORT')}?backlog=4096"
environment 'production'
persistent_timeout 600
quiet
rackup File.join(__dir__, 'config.ru')
