import { createLogger, type Logger } from '../process/logger.ts';
import type { LoadedConfig } from './config-file.ts';

/** The log that a configuration asks for, with what is noteworthy about the configuration itself as its first lines. */
export function openLog(
  { config, warnings, notices }: Pick<LoadedConfig, 'config' | 'warnings' | 'notices'>,
  stderr: NodeJS.WritableStream,
  more: Readonly<Record<string, string>> = {},
): Logger {
  const { level, formatter, fields, reportcaller } = config.log;
  const log = createLogger({
    level,
    formatter,
    fields: { ...fields, ...more },
    reportCaller: reportcaller,
    // Text is for people; JSON goes past the stream, so that a line written before a crash is there.
    ...(formatter === 'text' && { destination: stderr }),
  });
  for (const { path, message } of [...warnings, ...notices]) {
    log.warn({ path, problem: message }, 'configuration');
  }
  return log;
}
