import { RegistryError } from '../errors.ts';

/** @throws RegistryError UNSUPPORTED with the remedy when deletes are off */
export function requireDeletes(context: { readonly deletesEnabled: boolean }): void {
  if (context.deletesEnabled) return;
  const message = 'deletes are disabled; the registry allows them with storage.delete.enabled: true';
  throw new RegistryError({ code: 'UNSUPPORTED', message });
}
