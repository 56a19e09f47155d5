"""Operations and the reconciler: what makes the world match the store."""
