import pino from 'pino';
import { textLines } from './log-text.ts';

/** Constant message, values in fields, no secrets. Fields come first, as in pino. */
export interface Logger {
  error(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
  debug(fields: object, message: string): void;
  /** @param options.level another level than this log's. */
  child(fields: object, options?: { readonly level: LogLevel }): Logger;
}

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

/** As docker distribution's: `key=value` pairs for people, objects, or objects as Logstash wants them. */
type LogFormatter = 'text' | 'json' | 'logstash';

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly formatter?: LogFormatter;
  /** Each line says which line of the program wrote it, as `file` and `func`. */
  readonly reportCaller?: boolean;
  readonly destination?: { write(line: string): void };
}

/** Logs lines to standard error, or to `destination`, synchronously: a line written before a crash is there. */
export function createLogger(options: LoggerOptions): Logger {
  const { formatter = 'json', level, fields, reportCaller } = options;
  const destination = options.destination ?? pino.destination({ dest: 2, sync: true });
  const log = pino(
    {
      level,
      base: { ...fields, ...(formatter === 'logstash' && { '@version': '1' }) },
      timestamp: formatter === 'logstash' ? logstashTime : pino.stdTimeFunctions.isoTime,
      messageKey: 'message',
      formatters: { level: (label) => ({ level: label }) },
      // A stack is for who mends the program.
      serializers: {
        error: formatter === 'text' && level !== 'debug' ? message : pino.stdSerializers.err,
      },
    },
    formatter === 'text' ? textLines(destination) : destination,
  );
  return reportCaller ? reporting(log) : log;
}

function logstashTime(): string {
  return `,"@timestamp":"${new Date().toISOString()}"`;
}

/** What is no error stays as it is. */
function message(error: unknown): unknown {
  return error instanceof Error ? messageOf(error) : error;
}

function messageOf(error: Error): string {
  const cause = error.cause instanceof Error ? messageOf(error.cause) : undefined;
  return cause === undefined || cause === error.message ? error.message : `${error.message}: ${cause}`;
}

function reporting(log: Logger): Logger {
  const wrap = (level: LogLevel): Logger['info'] =>
    function method(fields, message) {
      log[level]({ ...fields, ...callerOf(method) }, message);
    };
  return {
    error: wrap('error'),
    warn: wrap('warn'),
    info: wrap('info'),
    debug: wrap('debug'),
    child: (fields, options) => reporting(log.child(fields, options)),
  };
}

/** The frame that called `callee`, by logrus's names of its parts. */
function callerOf(callee: (...args: never[]) => unknown): { readonly file: string; readonly func?: string } {
  const trace: { stack?: string } = {};
  Error.captureStackTrace(trace, callee);
  const frame = trace.stack?.split('\n')[1]?.trim() ?? '';
  const match = /^at (?:(.*) \()?(?:file:\/\/)?(.*?:\d+):\d+\)?$/.exec(frame);
  return { file: match?.[2] ?? frame, ...(match?.[1] && { func: match[1] }) };
}
