import { accessRecord } from './need.ts';
import { bearerChallenge, type AuthProvider } from './provider.ts';

/** docker distribution's provider for tests: whoever sends an Authorization header, whatever it says, is `silly`. */
export function sillyProvider(options: { readonly realm: string; readonly service: string }): AuthProvider {
  return {
    identify: (caller) => Promise.resolve(caller.authorization ? { user: 'silly' } : 'none'),
    challenge(_caller, needs) {
      // An item for each action, as distribution's has it.
      const scopes = needs.map(accessRecord).map(({ Type, Name, Action }) => `${Type}:${Name}:${Action}`);
      return bearerChallenge({ ...options, scope: scopes.join(' ') });
    },
  };
}
