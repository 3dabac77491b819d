/** A barn with a bale of hay in its gate. */
export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
      <path class="logo-barn" d="M16 3 29 11v18H3V11z" />
      <path class="logo-bale" d="M9 29V17h14v12z" />
      <path class="logo-straw" d="M9 21h14M9 25h14M13 17v12M19 17v12" />
    </svg>
  );
}
