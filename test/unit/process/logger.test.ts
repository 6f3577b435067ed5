import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger, type Logger, type LoggerOptions } from '../../../src/process/logger.ts';

function openLog(options: Partial<LoggerOptions>): { readonly log: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  return { log: createLogger({ level: 'info', destination, ...options }), lines };
}

function record(line: string | undefined): Readonly<Record<string, unknown>> {
  return JSON.parse(line ?? '') as Readonly<Record<string, unknown>>; // the logger writes objects
}

test('json is one object a line, with the fields of the log and of the line', () => {
  const { log, lines } = openLog({ fields: { service: 'registry' } });
  log.warn({ answer: 42 }, 'a message');
  const { time, ...rest } = record(lines[0]);
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(rest, { level: 'warn', service: 'registry', answer: 42, message: 'a message' });
});

test('text is pairs for people', () => {
  const { log, lines } = openLog({ formatter: 'text', fields: { service: 'registry' } });
  log.info({ path: '/a b', count: 2 }, 'a message');
  assert.match(
    lines[0] ?? '',
    /^time=\S+ level=info msg="a message" service=registry path="\/a b" count=2\n$/,
  );
});

test('logstash is an object with the names that Logstash wants', () => {
  const { log, lines } = openLog({ formatter: 'logstash' });
  log.error({ a: 1 }, 'a message');
  const { '@timestamp': time, ...rest } = record(lines[0]);
  assert.match(String(time), /^\d{4}-\d\d-\d\dT/);
  assert.deepEqual(rest, { level: 'error', '@version': '1', a: 1, message: 'a message' });
});

test('lines below the level are left out, also of a child, unless that has a level of its own', () => {
  const { log, lines } = openLog({ level: 'error' });
  log.warn({}, 'no');
  log.child({ a: 1 }).info({}, 'no');
  log.child({ a: 1 }, { level: 'info' }).info({}, 'yes');
  assert.deepEqual(
    lines.map((line) => record(line)['message']),
    ['yes'],
  );
});

test('a line says who wrote it where that is asked for, also that of a child', () => {
  const { log, lines } = openLog({ reportCaller: true });
  log.info({}, 'one');
  function speak(child: Logger): void {
    child.warn({}, 'two');
  }
  speak(log.child({ a: 1 }));
  const [one, two] = lines.map(record);
  assert.match(String(one?.['file']), /test\/unit\/process\/logger\.test\.ts:\d+$/);
  assert.match(String(two?.['file']), /logger\.test\.ts:\d+$/);
  assert.equal(two?.['func'], 'speak');
  const silent = openLog({});
  silent.log.info({}, 'three');
  assert.equal(record(silent.lines[0])['file'], undefined);
});

test('in text an error is what it says and what caused it; with debug there is the stack as well', () => {
  const error = new Error('cannot write', { cause: new Error('no space left') });
  const plain = openLog({ formatter: 'text' });
  plain.log.error({ error }, 'failed');
  assert.match(plain.lines[0] ?? '', / error="cannot write: no space left"\n$/);
  const debug = openLog({ formatter: 'text', level: 'debug' });
  debug.log.error({ error }, 'failed');
  assert.match(debug.lines[0] ?? '', /logger\.test\.ts/);
});
