import type { Config } from '../contract/config/config.ts';
import { textLines } from '../process/log-text.ts';
import { createLogger, type Logger } from '../process/logger.ts';
import type { LoadedConfig } from './config-file.ts';

/** The log that a configuration asks for, with what is noteworthy about the configuration itself as its first lines. */
export function openLog(
  { config, warnings, notices }: LoadedConfig,
  stderr: NodeJS.WritableStream,
  fields: Readonly<Record<string, string>> = {},
): Logger {
  const log = createConfiguredLogger(config, stderr, fields);
  for (const { path, message } of [...warnings, ...notices]) {
    log.warn({ path, problem: message }, 'configuration');
  }
  return log;
}

function createConfiguredLogger(
  { log: { level, formatter, fields } }: Config,
  stderr: NodeJS.WritableStream,
  more: Readonly<Record<string, string>>,
): Logger {
  return createLogger({
    level,
    fields: { ...fields, ...more },
    // Text is for people; JSON goes past the stream, so that a line written before a crash is there.
    ...(formatter === 'text' && { destination: textLines(stderr) }),
  });
}
